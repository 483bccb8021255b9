"""The cells of weather do not show in a map."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
import xarray as xr
from affine import Affine
from gappy import RANGES, SEASON, group, store, untrained
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from scipy.ndimage import gaussian_filter

from geocomiss.batch import batch_of_stack
from geocomiss.checkpoint import read_checkpoint, write_checkpoint
from geocomiss.grid import cells_of
from geocomiss.mapping import MapRequest, make_map
from geocomiss.methods import METHODS
from geocomiss.stack import read_stack

GRID = GeoBox((480, 480), Affine(10, 0, 640000, 0, -10, 5610000), "EPSG:32631")
SIZE = 0.005
CELLS = GeoBox((13, 17), Affine(SIZE, 0, 4.9695, 0, -SIZE, 50.6295), "EPSG:4326")
"""Cells of about 35 x 56 pixels, one or more beyond the grid on each side."""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weather that differs from cell to cell without jumping, and terrain with a little noise.

    Between cells that have nothing in common classes change most often halfway, whatever is interpolated.
    """
    rng = np.random.default_rng(4)
    weather, terrain = (
        group(name, grid, SEASON, rng) for name, grid in (("weather", CELLS), ("topography", GRID))
    )
    weather = weather.map(_even, keep_attrs=True)
    terrain = terrain.map(lambda band: band.mean() + (band - band.mean()) / 8, keep_attrs=True)
    return store(tmp_path_factory.mktemp("stack"), {"weather": weather, "topography": terrain})


def _even(band: xr.DataArray) -> xr.DataArray:
    """The first step, smoothed between cells, in every step."""
    if band.name == "count":
        return band
    low, high = RANGES[str(band.name)]
    smooth = gaussian_filter(band.values[0].astype("f8"), 1.5)
    smooth = low + (high - low) * (smooth - smooth.min()) / np.ptp(smooth)
    return band.copy(data=np.broadcast_to(smooth.astype("f4"), band.shape))


@pytest.fixture(scope="module")
def decided(stack: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose logits of weather and of terrain have mean 0 and deviation 1 in the stack."""
    folder = tmp_path_factory.mktemp("model")
    checkpoint = read_checkpoint(str(untrained(folder)))
    method, some = checkpoint.method.eval(), np.zeros(GRID.shape, bool)
    some[::4, ::4] = True
    batch = batch_of_stack(read_stack(stack).compute(), checkpoint.card.spec, some)
    for name in ("weather", "topography"):
        head = method.branches[name].head
        with torch.no_grad():
            std, mean = torch.std_mean(method(batch.keep_only((name,))), 0)
            head.weight.div_(std[:, None])
            head.bias.sub_(mean).div_(std)
    write_checkpoint(folder / "decided", checkpoint.card, method)
    return folder / "decided"


def mapped(stack: Path, model: Path, folder: Path) -> NDArray[np.uint8]:
    request = MapRequest(str(stack), folder / "map", model=str(model), require=())
    with rasterio.open(make_map(request).folder / "crop_type.tif") as file:
        return file.read(1)


def border_over_inside(classes: NDArray[np.uint8]) -> float:
    """How much more often neighbours differ in class across borders of cells than inside of them."""
    cells, within = cells_of(GRID, CELLS)
    assert within.all() and (classes > 0).all()
    across, inside = [], []
    for one, other in (((slice(1, None),), (slice(-1),)), ((..., slice(1, None)), (..., slice(-1)))):
        border = cells[one] != cells[other]
        differs = classes[one] != classes[other]
        across.append(differs[border])
        inside.append(differs[~border])
    return float(np.concatenate(across).mean() / np.concatenate(inside).mean())


def test_classes_change_across_borders_of_cells_as_inside(stack: Path, decided: Path, tmp_path: Path) -> None:
    ratio = border_over_inside(mapped(stack, decided, tmp_path))
    print(ratio)
    assert ratio <= 1.05


def test_methods_that_do_not_interpolate_show_the_cells(
    stack: Path, decided: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(METHODS["comiss"], "additive", False)
    ratio = border_over_inside(mapped(stack, decided, tmp_path))
    print(ratio)
    assert ratio > 1.2, "or the test above proves nothing"
