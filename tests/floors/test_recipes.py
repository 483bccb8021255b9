"""Recipes are compared field by field."""

from dataclasses import asdict, fields, replace

import pytest

from geocomiss.errors import RecipeError
from geocomiss.modalities import MODALITIES
from geocomiss.recipes import COMPARED, RECIPES, Recipe, differences, recipe_from, recipe_named

MONTHLY = RECIPES["monthly-l2a"]


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_recipe_is_itself_and_survives_storage(recipe: Recipe) -> None:
    assert differences(recipe, recipe) == ()
    assert recipe_from(asdict(recipe)) == recipe
    assert recipe_named(recipe.name) is recipe
    assert recipe.cycle.number == recipe.steps


@pytest.mark.parametrize(("modality", "field", "severity"), COMPARED)
def test_each_compared_field_is_found_alone(modality: str, field: str, severity: str) -> None:
    assert modality in MODALITIES
    (found,) = differences(replace(MONTHLY, **{field: "something else"}), MONTHLY)
    assert (found.modality, found.severity, found.found) == (modality, severity, "something else")
    assert found.expected == getattr(MONTHLY, field)
    assert "something else" in str(found) and modality in str(found)


def test_what_refuses_and_what_warns() -> None:
    refused = {field for _, field, severity in COMPARED if severity == "refuse"}
    assert {"s2_level", "s1_product"} <= refused
    assert not {"weather_product", "terrain_product", "cloud_rule"} & refused


def test_the_two_recipes_differ_in_level_and_are_refused() -> None:
    found = differences(RECIPES["cropharvest"], MONTHLY)
    assert any(each.severity == "refuse" and each.found == "L1C" for each in found)


def test_an_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(RecipeError, match=r"monthly-l2a or .*cropharvest"):
        recipe_named("weekly")


def test_a_recipe_stored_before_cloud_score_was_known_is_read() -> None:
    stored = asdict(MONTHLY)
    del stored["cloud_score"]
    assert recipe_from(stored) == MONTHLY


@pytest.mark.parametrize("change", [{"extra": 1}, {"s2_level": None}])
def test_a_stored_recipe_with_other_fields_is_refused(change: dict[str, object]) -> None:
    stored = {field.name: getattr(MONTHLY, field.name) for field in fields(Recipe)}
    for key, value in change.items():
        if value is None:
            del stored[key]
        else:
            stored[key] = value
    with pytest.raises(RecipeError, match=next(iter(change))):
        recipe_from(stored)
