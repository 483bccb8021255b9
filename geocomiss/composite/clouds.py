"""Which optical observations are clear, by scene classification (SCL, Sentinel-2 L2A) or Cloud Score+.

0 no data, 1 saturated or defective, 2 dark area, 3 cloud shadow, 4 vegetation, 5 bare soil, 6 water,
7 unclassified, 8 and 9 cloud, 10 thin cirrus, 11 snow. Classes 4 to 7 are kept. Dark areas are dropped
(mostly terrain shadow) but not grown; all other classes, the no-data edge of a swath among them, are
grown by `Recipe.cloud_dilation` metres, because classification misses the rim of a cloud.

Cloud Score+ (Pasquarella et al. 2023) says of each pixel how clear it is, 0 to 1: what lies below
`Recipe.cloud_score`, or has no score, is not clear and is grown likewise.
"""

import functools
from collections.abc import Collection, Hashable
from math import floor
from typing import Any, Final

import dask.array as da
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from geocomiss.errors import RecipeError
from geocomiss.recipes import Recipe

SCL: Final = "scl"
"""Variable of optical scenes that holds the scene classification."""
SCORE: Final = "cs_cdf"
"""Variable of optical scenes that holds Cloud Score+."""
CLEAR_CLASSES: Final = (4, 5, 6, 7)
"""SCL classes that are kept."""
GROWN_CLASSES: Final = (0, 1, 3, 8, 9, 10, 11)
"""SCL classes whose surroundings are dropped too."""
SCORE_RULE: Final = "cloud-score-plus"
"""Cloud rule of recipes that go by Cloud Score+."""
BEST_FIRST: Final = (4, 5, 6, 7, 2, 11, 3, 10, 8, 9, 1)
"""Order of preference of a 'best-pixel' composite: something cloudy is taken where all is cloudy."""


def margin_pixels(recipe: Recipe, pixel: float) -> int:
    """Pixels that a source must read beyond each side of a window before `composite_optical`."""
    return floor(recipe.cloud_dilation / pixel + 1e-9)


def dilation_loss(scl: xr.DataArray, recipe: Recipe, pixel: float) -> float:
    """Share (0..1) of the otherwise clear observations that dilation removes. Reads all of `scl`.

    Args:
        scl: Scene classification `(time, y, x)`.
        recipe: Cloud rule and dilation.
        pixel: Pixel size in metres.
    """
    if recipe.cloud_rule != "scl":
        return 0.0
    before, after = (_clear(scl, reach, pixel).sum() for reach in (0.0, recipe.cloud_dilation))
    both = xr.Dataset({"before": before, "after": after}).compute()
    return 1.0 - float(both.after) / max(1.0, float(both.before))


def check_rule(recipe: Recipe, held: Collection[Hashable] = (SCL,)) -> None:
    """Refuse a recipe whose cloud rule asks for what the scenes do not have.

    Args:
        recipe: With its cloud rule.
        held: Variables of the scenes.

    Raises:
        RecipeError: For example, 'cloud-score-plus' of scenes with a scene classification.
    """
    if (SCORE if recipe.cloud_rule == SCORE_RULE else SCL) not in held:
        with_scl = "a scene classification" if SCL in held else "no scene classification"
        raise RecipeError(
            f"acquisitions with {with_scl} and a recipe with cloud rule {recipe.cloud_rule!r}",
            expected="cloud rule 'scl' or 'best-pixel' and a scene classification, or Cloud Score+",
            todo="choose another --recipe for this source",
        )


def usable(scenes: xr.Dataset, recipe: Recipe, pixel: float) -> xr.DataArray:
    """Observations that a composite may use, `(time, y, x)` bool: the clear ones, or all with data."""
    if recipe.cloud_rule == "scl":
        return _clear(scenes[SCL], recipe.cloud_dilation, pixel)
    if recipe.cloud_rule == SCORE_RULE:
        # as classes; in double precision, so that a score equal to the limit is clear everywhere
        clear = scenes[SCORE].astype(np.float64) >= float(recipe.cloud_score or 0)
        return _clear(clear.astype(np.uint8) * np.uint8(CLEAR_CLASSES[0]), recipe.cloud_dilation, pixel)
    return scenes[SCL] != 0


def _clear(scl: xr.DataArray, reach: float, pixel: float) -> xr.DataArray:
    """Observations of a kept class with no grown class within `reach` metres: `(time, y, x)`."""
    offsets = disk(reach, pixel)
    depth = max(row for row, _ in offsets)
    if isinstance(scl.data, da.Array) and depth:
        overlapping: Any = da.map_overlap  # dask ships no types for it
        clear = overlapping(
            functools.partial(_clear_block, offsets=offsets),
            scl.data,
            depth=(0, depth, depth),
            boundary=CLEAR_CLASSES[0],  # beyond the edge nothing is known to be cloudy
            dtype=bool,
            meta=np.empty((0, 0, 0), bool),
        )
        return scl.copy(data=clear)
    result: xr.DataArray = xr.apply_ufunc(
        _clear_block, scl, kwargs={"offsets": offsets}, dask="parallelized", output_dtypes=[bool]
    )
    return result


def _clear_block(scl: NDArray[np.uint8], offsets: list[tuple[int, int]]) -> NDArray[np.bool_]:
    """`_clear` of one block (..., H, W)."""
    grown = _lookup(GROWN_CLASSES)[scl]
    near = np.zeros_like(grown)
    height, width = scl.shape[-2:]
    for row, col in offsets:
        if abs(row) < height and abs(col) < width:
            near[..., _to(row, height), _to(col, width)] |= grown[..., _to(-row, height), _to(-col, width)]
    return np.asarray(_lookup(CLEAR_CLASSES)[scl] & ~near)


def _to(shift: int, size: int) -> slice:
    """Where `size` elements moved by `shift` come to lie."""
    return slice(max(0, shift), size + min(0, shift))


def _lookup(classes: tuple[int, ...]) -> NDArray[np.bool_]:
    """(256,) whether each value is one of the classes; unheard-of values count as no data."""
    table = np.zeros(256, bool)
    table[list(classes)] = True
    if 0 in classes:
        table[12:] = True
    return table


def disk(reach: float, pixel: float) -> list[tuple[int, int]]:
    """Offsets (rows, columns) of all pixels whose centres lie within `reach` metres."""
    radius = reach / pixel + 1e-9  # 30 / 10 must reach the third pixel
    span = range(-floor(radius), floor(radius) + 1)
    return [(row, col) for row in span for col in span if row**2 + col**2 <= radius**2]


def preference(scl: xr.DataArray) -> xr.DataArray:
    """How far down `BEST_FIRST` each observation stands, the clear classes all 0: float32."""
    rank = np.full(256, len(BEST_FIRST), np.float32)
    rank[list(BEST_FIRST)] = np.maximum(0, np.arange(len(BEST_FIRST)) - len(CLEAR_CLASSES) + 1)
    result: xr.DataArray = xr.apply_ufunc(
        lambda block: rank[block], scl, dask="parallelized", output_dtypes=[np.float32]
    )
    return result
