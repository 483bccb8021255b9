"""What a map keeps of its stack, beside a slow and obvious way, pixel by pixel."""

import numpy as np
import pytest
from gappy import GRID, RECIPE, SEASON, gappy_groups
from odc.geo.geobox import GeoBox

from geocomiss.grid import Tile, tiles_of
from geocomiss.mapping.illustrate import (
    IMAGING,
    coarse_grid,
    count_observations,
    illustrate,
    picked,
)
from geocomiss.maps.eye import COLORS, bright
from geocomiss.maps.layers import ndvi_curve, true_color
from geocomiss.stack import Origin, new_stack, window

STEPS = tuple(f"step {number}" for number in range(SEASON.number))


@pytest.fixture(scope="module")
def groups():
    found = gappy_groups()
    for name in IMAGING:
        counts = found[name]["count"]
        counts.values[:] = np.random.default_rng(2).integers(0, 4, counts.shape)
    return found


def extent(wanted: np.ndarray) -> tuple[slice, slice]:
    rows, cols = np.nonzero(wanted)
    return slice(rows.min(), rows.max() + 1), slice(cols.min(), cols.max() + 1)


@pytest.mark.parametrize("share", [0.002, 0.1, 1.0])
def test_observations_are_those_of_the_wanted_pixels(groups, share):
    wanted = np.random.default_rng(3).random(GRID.shape) <= share
    found = count_observations(new_stack(groups, origin()), wanted, SEASON.number)
    for number, name in enumerate(IMAGING):
        counts = groups[name]["count"].values
        slow = [counts[:, row, col].sum() for row, col in np.argwhere(wanted)]
        assert found.by_pixel[number].tolist() == slow
        assert found.by_step[number].tolist() == [int(step[wanted].sum()) for step in counts]


@pytest.mark.parametrize("share", [0.002, 0.1, 1.0])
@pytest.mark.parametrize("every", [1, 4])
@pytest.mark.parametrize("layer", [true_color(1), ndvi_curve(1, STEPS)], ids=["true_color", "ndvi"])
def test_an_illustration_shows_the_picked_and_wanted_pixels_whatever_the_tile(groups, layer, every, share):
    wanted = np.random.default_rng(4).random(GRID.shape) <= share
    coarse = coarse_grid(GRID, every)
    found = np.full((len(layer.band_names), *coarse.shape), 111, np.uint8)
    for tile in tiles_of(GRID, 16):
        at, drawn = drawn_of(tile, groups, layer, wanted, every)
        found[:, at.rows, at.cols] = drawn
    assert (found == slowly(coarse, groups, layer, wanted, every)).all()
    assert (found != layer.nodata).any() or share < 0.1


def drawn_of(tile: Tile, groups, layer, wanted, every):
    """As `compute` asks for it: the stack of the rows and columns with wanted pixels."""
    at = picked(GRID, tile, every)
    here = wanted[tile.y, tile.x]
    if not here.any():
        return at, np.full((len(layer.band_names), at.y.size, at.x.size), layer.nodata, np.uint8)
    y, x = extent(here)
    rows, cols = (slice(a.start + b.start, a.start + b.stop) for a, b in ((tile.y, y), (tile.x, x)))
    part = window(new_stack(groups, origin()), rows, cols, GRID)
    from_corner = type(at)(at.rows, at.cols, at.y - y.start, at.x - x.start)
    return at, illustrate(layer, part, here[y, x], from_corner)


def slowly(coarse: GeoBox, groups, layer, wanted, every):
    values = np.full((len(layer.band_names), *coarse.shape), layer.nodata, np.uint8)
    optical = groups["optical"]
    for row, col in np.ndindex(*coarse.shape):
        place = tuple(min(every // 2 + every * i, n - 1) for i, n in zip((row, col), GRID.shape, strict=True))
        if not wanted[place]:
            continue
        if layer.rgb:
            seen = [optical[band].values[:, *place] for band in COLORS]
            if not np.isnan(seen).all(1).any():
                values[:, row, col] = bright(np.array([np.nanmedian(each) for each in seen]))
        else:
            index = optical["NDVI"].values[:, *place]
            known = np.isfinite(index)
            steps = np.rint((index[known] - layer.offset) / layer.scale)
            values[known, row, col] = steps.clip(0, 254)
    return values


def origin() -> Origin:
    return Origin("test", RECIPE, SEASON)
