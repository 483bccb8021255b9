"""Which differences between a stack and a model stop a map, which drop a modality, which warn."""

from dataclasses import replace

import pytest

from geocomiss.errors import RecipeError
from geocomiss.mapping.contract import settle
from geocomiss.recipes import COMPARED, RECIPES, Difference, differences

MODEL = RECIPES["monthly-l2a"]
LEVEL = Difference("optical", "s2 level", "L1C", "L2A", "refuse")
WEATHER = Difference("weather", "weather product", "ERA5-Land", "AgERA5", "warn")
CALENDAR = Difference("calendar", "the stack", "2020", "January to December", "refuse")


@pytest.mark.parametrize(("modality", "field", "severity"), COMPARED)
def test_each_compared_field_is_found_with_its_modality(modality: str, field: str, severity: str) -> None:
    (found,) = differences(replace(MODEL, **{field: "something else"}), MODEL)
    assert (found.modality, found.severity) == (modality, severity)
    assert "something else" in str(found)


def test_equal_recipes_have_no_differences() -> None:
    assert differences(MODEL, MODEL) == ()


def test_refuse_names_each_grave_difference_and_the_way_out() -> None:
    radar = Difference("radar", "s1 product", "gamma0", "sigma0", "refuse")
    with pytest.raises(RecipeError) as caught:
        settle((LEVEL, WEATHER, radar), "refuse", ())
    assert "L1C" in str(caught.value)
    assert "gamma0" in str(caught.value)
    assert "--on-mismatch drop" in str(caught.value)
    assert "ERA5-Land" not in str(caught.value), "a warning is no reason"


def test_drop_treats_the_modality_as_missing_and_allow_keeps_it() -> None:
    dropped = settle((LEVEL, WEATHER), "drop", ())
    assert dropped.dropped == ("optical",)
    assert len(dropped.warnings) == 2
    allowed = settle((LEVEL, WEATHER), "allow", ())
    assert allowed.dropped == ()
    assert len(allowed.warnings) == 2


def test_bands_that_lack_are_not_said_to_be_used_as_they_are() -> None:
    bands = Difference("optical", "bands", "without B8A", "all that it reads", "refuse")
    with pytest.raises(RecipeError, match="trained without these bands") as caught:
        settle((bands,), "refuse", ())
    assert "allow" not in str(caught.value)
    (said,) = settle((bands,), "allow", ()).warnings
    assert "optical counts as missing" in said


def test_a_modality_left_out_cannot_differ() -> None:
    assert settle((LEVEL, WEATHER), "refuse", ("optical", "weather")).warnings == ()


@pytest.mark.parametrize("policy", ["refuse", "drop", "allow"])
def test_another_calendar_is_always_refused(policy: str) -> None:
    with pytest.raises(RecipeError, match="January to December"):
        settle((CALENDAR,), policy, ())
