"""Coarser levels of maps: GDAL's own values, made only where there is something."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from rio_cogeo import cog_validate

from geocomiss.maps import Category, Layer, levels, write_sparse_cog
from geocomiss.maps.cog import COG, PLAIN

CLASSES = (Category(1, "maize", "#ffd300"), Category(2, "wheat", "#a57000"))
LAYERS = (
    Layer("crop_type", 0, "classes", categories=CLASSES, overviews="mode"),
    Layer("confidence", 255, "probability", scale=0.005, overviews="average"),
    Layer("observations", 65535, "seen", "uint16", bands=("optical", "radar"), overviews="average"),
    Layer("bits", 255, "bits", overviews="nearest"),
)
Shape = tuple[int, int]


def values_of(layer: Layer, shape: Shape, fields: int, seed: int = 0) -> NDArray[Any]:
    """Nodata with some fields of 12 x 9 pixels, no two of them alike."""
    rng = np.random.default_rng(seed)
    values = np.full((len(layer.band_names), *shape), layer.nodata, layer.dtype)
    for _ in range(fields):
        row, col = rng.integers(0, shape[0] - 12), rng.integers(0, shape[1] - 9)
        values[:, row : row + 12, col : col + 9] = rng.integers(1, 200, (len(values), 12, 9))
    return values


def by_gdal(layer: Layer, values: NDArray[Any], folder: Path) -> list[NDArray[Any]]:
    """The levels that GDAL's driver makes by itself."""
    profile = PLAIN | dict(zip(("count", "height", "width"), values.shape, strict=True))
    profile |= {"dtype": layer.dtype, "nodata": layer.nodata, "crs": "EPSG:32631"}
    with rasterio.open(folder / "a.tif", "w", **profile, transform=Affine.scale(10, -10)) as file:
        file.write(values)
    path = folder / "b.tif"
    rasterio.shutil.copy(
        folder / "a.tif", path, driver="COG", OVERVIEW_RESAMPLING=layer.overviews.upper(), **COG
    )
    return levels_in(path)


def levels_in(path: Path) -> list[NDArray[Any]]:
    with rasterio.open(path) as file:
        number = len(file.overviews(1))
    found = []
    for level in range(number):
        with rasterio.open(path, overview_level=level) as file:
            found.append(file.read())
    return found


def written(layer: Layer, values: NDArray[Any], folder: Path) -> Path:
    grid = GeoBox(values.shape[1:], Affine(10, 0, 600_000, 0, -10, 5_600_000), "EPSG:32631")
    rows, cols = (slice(0, side) for side in values.shape[1:])
    path = folder / f"{layer.name}.tif"
    write_sparse_cog(path, layer, grid, [(rows, cols, values)], {}, folder / "tiles")
    return path


@pytest.mark.parametrize("shape", [(1024, 1536), (901, 1047), (513, 400)])
@pytest.mark.parametrize("layer", LAYERS, ids=lambda each: each.name)
@pytest.mark.parametrize("fields", [5, 600])
def test_levels_are_those_of_gdal(layer: Layer, shape: Shape, fields: int, tmp_path: Path) -> None:
    values = values_of(layer, shape, fields)
    path = written(layer, values, tmp_path)
    assert cog_validate(path, strict=True)[0]
    expected, found = by_gdal(layer, values, tmp_path), levels_in(path)
    assert [each.shape for each in found] == [each.shape for each in expected]
    halved = all(side % 2 ** len(expected) == 0 for side in shape)
    for one, other in zip(found, expected, strict=True):
        off = np.abs(one.astype(int) - other)
        if layer.overviews == "average" and not halved:
            assert off.max() <= 1 and (off > 0).mean() < 1e-4
        else:
            assert not off.any()


def test_levels_are_made_where_there_is_something(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A field in each of two far corners: the work does not depend on what lies between."""
    looked_at = []
    real = levels._make

    def counting(source: Any, *rest: Any) -> Any:
        class Counting:
            height, width, count = source.height, source.width, source.count

            def read(self, window: Any, **options: Any) -> Any:
                looked_at.append(window.height * window.width)
                return source.read(window=window, **options)

        return real(Counting(), *rest)

    monkeypatch.setattr(levels, "_make", counting)
    values = values_of(LAYERS[0], (4096, 4096), 0)
    for row in (10, 4000):
        values[0, row : row + 10, row : row + 10] = 1
    made = levels_in(written(LAYERS[0], values, tmp_path))
    assert sum(looked_at) <= 2 * len(made) * 512**2
    assert all((each == 1).sum() for each in made)


def test_what_a_killed_run_left_does_no_harm(tmp_path: Path) -> None:
    """GDAL takes the files of a VRT away that it writes over."""
    values = values_of(LAYERS[1], (1024, 1024), 50)
    first = written(LAYERS[1], values, tmp_path).read_bytes()
    (tmp_path / "tiles").mkdir()
    plain = tmp_path / "tiles" / "confidence.plain.tif"
    rasterio.shutil.copy(tmp_path / "confidence.tif", plain, driver="GTiff")
    rasterio.shutil.copy(plain, plain.with_name(plain.name + ".vrt"), driver="VRT")
    assert written(LAYERS[1], values, tmp_path).read_bytes() == first
    assert not any((tmp_path / "tiles").iterdir())
