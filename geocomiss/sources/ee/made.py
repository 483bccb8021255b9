"""Which recipes there are graphs for, and what Earth Engine's products make of them."""

from dataclasses import replace
from typing import Final

from geocomiss.errors import RecipeError
from geocomiss.recipes import Recipe
from geocomiss.sources.ee.tables import ERA5_LAND, S1, S2_L1C, S2_L2A, SRTM

SCL_MEDIAN: Final = ("scl", "median", "linear-mean")
SCORE_MEDIAN: Final = ("cloud-score-plus", "median", "linear-mean")
BEST_PIXEL: Final = ("best-pixel", "best-pixel", "median")
KNOWN: Final = (SCL_MEDIAN, SCORE_MEDIAN, BEST_PIXEL)
"""(cloud rule, optical compositing, radar averaging) for which there are graphs."""


def made(recipe: Recipe, cloud_score: float | None) -> Recipe:
    """As wanted, with what Earth Engine's products are and nobody can choose.

    Args:
        recipe: What is wanted.
        cloud_score: Cloud Score+ from which a pixel is clear, where a user says so.

    Raises:
        RecipeError: There is no graph for it, or it knows no Cloud Score+ or no growing of clouds.
    """
    rules = recipe.cloud_rule, recipe.optical_compositing, recipe.radar_averaging
    if rules not in KNOWN:
        raise RecipeError(
            f"Earth Engine and a recipe {recipe.name!r} of {', '.join(rules)}",
            expected=" or ".join(", ".join(each) for each in KNOWN),
            todo="choose another --recipe or model, or map an export made with this recipe",
        )
    if cloud_score is not None and rules != SCORE_MEDIAN:
        raise RecipeError(
            f"--cloud-score {cloud_score:g} and the recipe {recipe.name!r}",
            expected="a recipe whose clouds are told by Cloud Score+",
            todo="leave the option out, or choose --recipe monthly-l2a-csplus",
        )
    if rules == BEST_PIXEL and recipe.cloud_dilation:
        raise RecipeError(
            f"clouds grown by {recipe.cloud_dilation:g} m and the recipe {recipe.name!r}",
            expected="0 m: it masks nothing",
            todo="leave --cloud-dilation out",
        )
    return replace(
        recipe,
        cloud_score=recipe.cloud_score if cloud_score is None else cloud_score,
        s2_level=S2_L1C.made if rules == BEST_PIXEL else S2_L2A.made,
        s1_product=S1.made,
        weather_product=ERA5_LAND.made,
        terrain_product=SRTM.made,
    )
