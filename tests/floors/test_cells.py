"""Pixels between the cells of a coarse grid: bilinear weights, and no cell that nobody uses."""

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox
from pyproj import Transformer

from geocomiss.grid import centres, tiles_of
from geocomiss.stack.cells import cells_at

FINE = GeoBox((40, 50), Affine(10, 0, 640000, 0, -10, 5610000), "EPSG:32631")
SIZE = 0.0013
COARSE = GeoBox((3, 4), Affine(SIZE, 0, 4.9765, 0, -SIZE, 50.6250), "EPSG:4326")
"""Smaller than the fine grid: some pixels lie in no cell, others have no neighbour on one side."""


def slow_weights(x: float, y: float) -> dict[int, float]:
    """Weight of each cell for a place, from distances to its centre in cells; nothing beyond the grid."""
    found = {}
    for row in range(COARSE.height):
        for col in range(COARSE.width):
            aside = abs(x - (4.9765 + (col + 0.5) * SIZE)) / SIZE
            down = abs(y - (50.6250 - (row + 0.5) * SIZE)) / SIZE
            if aside < 1 and down < 1:
                found[row * COARSE.width + col] = (1 - aside) * (1 - down)
    return found


def test_weights_are_those_of_the_nearest_centres() -> None:
    chosen = np.random.default_rng(0).random(FINE.shape) < 0.3
    cells = cells_at(FINE, COARSE, chosen)
    x, y = (each[chosen] for each in np.meshgrid(*centres(FINE)))
    places = np.array(Transformer.from_crs(32631, 4326, always_xy=True).transform(x, y)).T
    assert 0 < cells.within.sum() < cells.within.size
    for pixel, (lon, lat) in enumerate(places):
        if not cells.within[pixel]:
            continue
        given = {}
        for cell, weight in zip(cells.used[cells.around[pixel]], cells.weights[pixel], strict=True):
            given[int(cell)] = given.get(int(cell), 0.0) + float(weight)
        given = {cell: weight for cell, weight in given.items() if weight}
        assert given == pytest.approx(slow_weights(lon, lat), abs=1e-6)
        own = int(cells.used[cells.own[pixel]])
        assert own == max(given, key=lambda cell: given[cell]), "a pixel's own cell counts most"
        assert given[own] >= 0.25 - 1e-6


def test_any_window_gives_the_same_bits() -> None:
    every = np.ones(FINE.shape, bool)
    whole = cells_at(FINE, COARSE, every, FINE)
    flat = np.arange(every.size).reshape(FINE.shape)
    for tile in tiles_of(FINE, 17):
        part = cells_at(tile.geobox, COARSE, np.ones(tile.geobox.shape, bool), FINE)
        pixels = flat[tile.y, tile.x].ravel()
        np.testing.assert_array_equal(part.weights, whole.weights[pixels])
        np.testing.assert_array_equal(part.within, whole.within[pixels])
        np.testing.assert_array_equal(part.used[part.around], whole.used[whole.around[pixels]])
        np.testing.assert_array_equal(part.used[part.own], whole.used[whole.own[pixels]])


def test_only_cells_around_chosen_pixels_are_used() -> None:
    chosen = np.zeros(FINE.shape, bool)
    chosen[12, 20] = True
    cells = cells_at(FINE, COARSE, chosen)
    assert cells.used.size <= 4 < COARSE.height * COARSE.width
    nobody = cells_at(FINE, COARSE, np.zeros(FINE.shape, bool))
    assert nobody.used.size == 0 and nobody.own.size == 0 and nobody.around.shape == (0, 4)
