"""Maps on disk: valid, coloured, named, whole or not there at all."""

import errno
import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from odc.geo.geobox import GeoBox
from rio_cogeo import cog_validate

from geocomiss.errors import MapError
from geocomiss.grid import tiles_of
from geocomiss.maps import Category, Layer, read_categories, read_summary, write_cog

CLASSES = (
    Category(1, "Maize & <grain>", "#ffd300"),
    Category(2, "Blé d'hiver", "#a57000"),
    Category(5, "grass", "#00a000"),
)
CROPS = Layer("crop_type", nodata=0, description="crop type", categories=CLASSES, overviews="mode")
CONFIDENCE = Layer(
    "confidence", nodata=255, description="probability", unit="1", scale=0.005, overviews="average"
)
GRID = GeoBox((1300, 1100), Affine(10, 0, 600_000, 0, -10, 5_600_000), "EPSG:32631")
TAGS = {"SOURCE": "simulated", "LABEL": "SIMULATED WORLD"}


def fields(seed: int = 0) -> np.ndarray:
    """Blocky classes 0, 1, 2, 5 on `GRID`."""
    coarse = np.random.default_rng(seed).choice([0, 1, 2, 5], (130, 110)).astype("u1")
    return coarse.repeat(10, 0).repeat(10, 1)


def cut(values: np.ndarray, size: int) -> Iterator[tuple[slice, slice, np.ndarray]]:
    for tile in tiles_of(GRID, size):
        yield tile.y, tile.x, values[tile.y, tile.x]


def write(folder: Path, layer: Layer = CROPS, size: int = 512, values: np.ndarray | None = None) -> Path:
    path = folder / f"{layer.name}.tif"
    write_cog(path, layer, GRID, cut(fields() if values is None else values, size), TAGS, folder / "tiles")
    return path


def test_a_map_is_a_strictly_valid_cog_on_the_grid_with_the_values(tmp_path: Path) -> None:
    path = write(tmp_path)
    valid, errors, warnings = cog_validate(path, strict=True)
    assert (valid, errors, warnings) == (True, [], [])
    with rasterio.open(path) as file:
        np.testing.assert_array_equal(file.read(1), fields())
        assert (file.crs.to_epsg(), file.transform) == (32631, GRID.affine)
        assert (file.dtypes, file.nodata, file.block_shapes) == (("uint8",), 0, [(512, 512)])
        assert file.compression.value == "DEFLATE"
        assert file.descriptions == ("crop_type",)
        assert file.tags() == TAGS | {"AREA_OR_POINT": "Area", "DESCRIPTION": "crop type"}
    assert sorted(each.name for each in tmp_path.iterdir()) == ["crop_type.tif", "crop_type.tif.aux.xml"]


def test_overviews_of_classes_show_the_most_frequent_class(tmp_path: Path) -> None:
    values = np.full(GRID.shape, 5, "u1")
    values[::2, ::2] = 1  # a quarter of each 2 x 2 block; nearest or average would show it
    path = write(tmp_path, values=values)
    with rasterio.open(path) as file:
        assert file.overviews(1) == [2, 4]
    with rasterio.open(path, overview_level=0) as coarse:
        assert set(np.unique(coarse.read(1))) == {5}


def test_overviews_of_quantities_are_averages(tmp_path: Path) -> None:
    values = np.full(GRID.shape, 100, "u1")
    values[::2, ::2] = 20
    path = write(tmp_path, CONFIDENCE, values=values)
    with rasterio.open(path, overview_level=0) as coarse:
        assert (coarse.read(1)[:600, :500] == 80).all()
    with rasterio.open(path) as file:
        assert (file.scales, file.units, file.nodata) == ((0.005,), ("1",), 255)
    assert not path.with_name("confidence.tif.aux.xml").exists()


def test_the_palette_and_the_names_are_those_of_the_classes(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert read_categories(path) == CLASSES
    with rasterio.open(path) as file:
        assert [file.colormap(1)[each.value] for each in CLASSES] == [(*each.rgb, 255) for each in CLASSES]
        assert file.colorinterp[0].name == "palette"


def test_gdal_hands_names_and_table_on(tmp_path: Path) -> None:
    """A VRT is the one place where rasterio shows what GDAL understood of the sidecar."""
    rasterio.shutil.copy(write(tmp_path), tmp_path / "x.vrt", driver="VRT")
    band = ET.parse(tmp_path / "x.vrt").find("VRTRasterBand")
    assert band is not None
    names = [each.text or "" for each in band.iterfind("CategoryNames/Category")]
    assert names == ["", "Maize & <grain>", "Blé d'hiver", "", "", "grass"]
    rows = [[cell.text for cell in row] for row in band.iterfind("GDALRasterAttributeTable/Row")]
    assert rows == [[str(cell) for cell in (each.value, each.name, *each.rgb)] for each in CLASSES]


def test_gdalinfo_shows_the_names_and_the_table(tmp_path: Path) -> None:
    if not (program := shutil.which("gdalinfo")):
        pytest.skip("gdalinfo is not installed (Debian: gdal-bin)")
    told = json.loads(
        subprocess.run([program, "-json", write(tmp_path)], capture_output=True, check=True).stdout
    )
    (band,) = told["bands"]
    assert [row["f"] for row in told["rat"]["row"]] == [[e.value, e.name, *e.rgb] for e in CLASSES]
    assert [band["categories"][each.value] for each in CLASSES] == [each.name for each in CLASSES]
    assert band["noDataValue"] == 0


@pytest.mark.parametrize("layer", [CROPS, CONFIDENCE], ids=lambda layer: layer.name)
def test_the_bytes_do_not_depend_on_the_tiles_or_their_order(tmp_path: Path, layer: Layer) -> None:
    first = write(tmp_path / "a", layer, 512).read_bytes()
    for size in (64, 100, 2000):
        assert write(tmp_path / str(size), layer, size).read_bytes() == first
    path = tmp_path / "b" / "x.tif"
    write_cog(path, layer, GRID, reversed(list(cut(fields(), 300))), TAGS, tmp_path / "b")
    assert path.read_bytes() == first


@pytest.mark.parametrize("shape", [(1, 1), (3, 700), (600, 5)])
def test_small_maps_and_maps_of_nothing_are_maps(tmp_path: Path, shape: tuple[int, int]) -> None:
    grid = GRID[: shape[0], : shape[1]]
    whole = (slice(0, shape[0]), slice(0, shape[1]), np.zeros(shape, "u1"))
    write_cog(tmp_path / "n.tif", CROPS, grid, [whole], {}, tmp_path / "work")
    assert cog_validate(tmp_path / "n.tif", strict=True)[0]
    with rasterio.open(tmp_path / "n.tif") as file:
        assert file.shape == shape and not file.read(1).any()


def test_a_map_replaces_a_map_and_its_names(tmp_path: Path) -> None:
    path = write(tmp_path)
    plain = Layer("crop_type", nodata=255, description="no classes")
    write(tmp_path, plain, values=np.ones(GRID.shape, "u1"))
    assert read_categories(path) == ()
    with rasterio.open(path) as file:
        assert file.nodata == 255 and (file.read(1) == 1).all()


def nothing_left(folder: Path) -> bool:
    return not [each for each in folder.rglob("*") if each.is_file()]


def test_windows_that_leave_pixels_out_are_refused(tmp_path: Path) -> None:
    parts = list(cut(fields(), 500))[:-1]
    with pytest.raises(MapError, match="each pixel of the grid once"):
        write_cog(tmp_path / "x.tif", CROPS, GRID, parts, {}, tmp_path / "tiles")
    assert nothing_left(tmp_path)


def test_an_error_on_the_way_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[tuple[slice, slice, np.ndarray]]:
        yield next(cut(fields(), 500))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_cog(tmp_path / "x.tif", CROPS, GRID, failing(), {}, tmp_path / "tiles")
    assert nothing_left(tmp_path)
    assert not (tmp_path / "tiles").exists()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MapError, match="cannot be written") as caught:
        write_cog(tmp_path / "file" / "x.tif", CROPS, GRID, [], {}, tmp_path / "file" / "tiles")
    assert "permissions" in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_said(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(MapError, match="cannot be written"):
        write(tmp_path / "out")
    tmp_path.chmod(0o700)


@pytest.mark.parametrize("call", ["copy", "replace"])
def test_a_disk_that_fills_up_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if call == "copy":
        monkeypatch.setattr("rasterio.shutil.copy", full)
    else:
        monkeypatch.setattr("geocomiss.maps.cog.os.replace", full)
    with pytest.raises(MapError, match="No space left on device"):
        write(tmp_path)
    assert nothing_left(tmp_path)


def test_blocks_that_went_missing_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GDAL closed the file without a word, and a block of it reads as nodata."""
    real = rasterio.shutil.copy

    def losing(source: Path, target: Path, **options: Any) -> None:
        if options["driver"] == "VRT":
            with rasterio.open(source, "r+") as file:
                file.write(np.zeros((512, 512), "u1"), 1, window=((0, 512), (0, 512)))
        real(source, target, **options)

    monkeypatch.setattr("rasterio.shutil.copy", losing)
    lost = int((fields()[:512, :512] > 0).sum())
    with pytest.raises(MapError, match=f"differs from what was written in {lost:,} pixels"):
        write(tmp_path)
    assert nothing_left(tmp_path)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import numpy as np
from affine import Affine
from odc.geo.geobox import GeoBox
from geocomiss.errors import MapError
from geocomiss.maps import Layer, write_cog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
grid = GeoBox((900, 900), Affine(10, 0, 600_000, 0, -10, 5_600_000), "EPSG:32631")
values = np.random.default_rng(0).integers(0, 255, grid.shape).astype("u1")
try:
    part, out = (slice(0, 900), slice(0, 900), values), Path(sys.argv[1])
    write_cog(out / "x.tif", Layer("x", 255, "noise"), grid, [part], {}, out / "t")
except MapError:
    sys.exit(7)
"""


@pytest.mark.parametrize("limit", [200, 20_000, 400_000, 820_000])
def test_writes_that_stop_short_are_found(tmp_path: Path, limit: int) -> None:
    """GDAL may close a truncated file without a word; a limit on file size stands for a full disk."""
    pytest.importorskip("resource", reason="limits on file size need Unix")
    environment = os.environ | {"CPL_LOG": os.devnull}
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path), str(limit)]
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 7, done.stderr.decode()[-500:]
    assert nothing_left(tmp_path)


def test_a_damaged_sidecar_is_said(tmp_path: Path) -> None:
    path = write(tmp_path)
    path.with_name("crop_type.tif.aux.xml").write_text("<PAMDataset>")
    with pytest.raises(MapError, match="cannot be read"):
        read_categories(path)


@pytest.mark.parametrize(
    ("content", "said"), [(None, "holds no run.json"), ("{", "cannot be read"), ("[1]", "cannot be read")]
)
def test_a_folder_without_a_summary_is_said(tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(MapError, match=said):
        read_summary(tmp_path)


def test_a_summary_is_read(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"season": "2021"}')
    assert read_summary(tmp_path) == {"season": "2021"}
