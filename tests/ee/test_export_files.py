"""GeoTIFFs of an export are held to what was asked for, wherever they lie."""

import re
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from ee_server import EarthEngineServer
from hypothesis import given, settings
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox

from geocomiss.errors import SourceError
from geocomiss.exporting import CollectRequest, ExportRequest, Limits, collect_export, start_export
from geocomiss.exporting import wait_for_export as wait
from geocomiss.sources import open_source
from geocomiss.sources.base import EarthEngine
from geocomiss.sources.exports.numbers import File, Numbers
from geocomiss.stack import groups_of

BOX = "4.978,50.622,4.982,50.624"
TILE = "tile_00000_00001.tif"


@pytest.fixture(scope="module")
def export(loopback: EarthEngineServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An export of two tiles, the weather and the heights, with its files beside the manifest."""
    folder = tmp_path_factory.mktemp("export")
    loopback.set(folder=str(folder / "bucket"))
    request = ExportRequest(
        *(folder / "ex", BOX, "2021-04:2021-05"),
        bucket="b",
        crs="EPSG:32631",
        tile=24,
        without=("radar",),
        ee=EarthEngine("my-project", loopback.url, "none"),
    )
    start_export(request)
    wait(request.out, request.ee, Limits(), 0.01)
    for path in (folder / "bucket" / "ex").iterdir():
        shutil.copy(path, request.out)
    return request.out


@pytest.fixture
def copy(export: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(export, tmp_path / "ex"))


def collect(folder: Path, files: str | None = None) -> None:
    collect_export(CollectRequest(folder, folder.with_name("s.zarr"), files))


def rewritten(path: Path, **changes: Any) -> None:
    """The same file with another profile."""
    with rasterio.open(path) as file:
        values, profile, names = file.read(), file.profile, file.descriptions
    count = changes.get("count", profile["count"])
    profile |= {"driver": "GTiff"} | changes
    height, width = profile["height"], profile["width"]
    with rasterio.open(path, "w", **profile) as file:
        file.write(values[:count, :height, :width].astype(profile["dtype"]))
        file.descriptions = changes.get("names", names[:count])


def moved(path: Path) -> None:
    with rasterio.open(path) as file:
        here = file.transform
    rewritten(path, transform=here * Affine.translation(1, 0))


def reordered(path: Path) -> None:
    with rasterio.open(path) as file:
        names = file.descriptions
    rewritten(path)
    with rasterio.open(path, "r+") as file:
        file.descriptions = names[::-1]


def other_band(path: Path) -> None:
    with rasterio.open(path, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
        file.set_band_description(3, "B99")


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * 0.6)])


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "missing": (Path.unlink, f"1 of 4 files of the export are not in ex: {TILE}"),
    "empty": (lambda path: path.write_bytes(b""), f"{TILE} cannot be read"),
    "truncated": (cut, f"{TILE} cannot be read"),
    "no TIFF": (lambda path: path.write_text("<html>quota exceeded</html>"), f"{TILE} cannot be read"),
    "moved": (moved, f"{TILE} has another grid (EPSG:32631, 640150 5609890, pixels of 10)"),
    "other zone": (lambda path: rewritten(path, crs="EPSG:32632"), f"{TILE} has another grid (EPSG:32632"),
    "no CRS": (lambda path: rewritten(path, crs=None), f"{TILE} has no CRS"),
    "a row less": (lambda path: rewritten(path, height=23), f"{TILE} has 6 x 23 pixels; expected 6 x 24"),
    "a band less": (lambda path: rewritten(path, count=23), f"{TILE} has 23 bands"),
    "other band": (other_band, f"{TILE} has 24 bands, one of them 'B99'"),
    "other order": (reordered, f"{TILE} has 24 bands; expected the 24 bands of"),
    "other type": (lambda path: rewritten(path, dtype="float32", nodata=None), "numbers of type float32"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_file_that_is_not_what_was_asked_for_is_named(name: str, copy: Path) -> None:
    damage, said = DAMAGES[name]
    damage(copy / TILE)
    with pytest.raises(SourceError, match=re.escape(said)):
        collect(copy)
    assert not copy.with_name("s.zarr").exists() and not list(copy.parent.glob(".*"))


def test_a_file_of_another_tile_is_named(copy: Path) -> None:
    shutil.copy(copy / "tile_00000_00000.tif", copy / TILE)
    with pytest.raises(SourceError, match=f"{TILE} has another grid"):
        collect(copy)


def test_many_missing_files_are_counted(copy: Path) -> None:
    for path in copy.glob("t*.tif"):
        path.unlink()
    with pytest.raises(SourceError, match="3 of 4 files of the export are not in ex: tile_00000_00000"):
        collect(copy)
    with pytest.raises(SourceError, match="expected a folder, or gs://bucket/prefix"):
        collect(copy, str(copy / "nowhere"))


def test_files_without_names_of_bands_are_taken_as_they_come(copy: Path) -> None:
    expected = groups_of(open_source(str(copy)).open(*_whole(copy)).compute())["optical"]
    plain = copy / "plain.tif"
    with rasterio.open(copy / TILE) as file:
        values, profile = file.read(), file.profile
    with rasterio.open(plain, "w", **profile | {"driver": "GTiff"}) as file:
        file.write(values)
    plain.replace(copy / TILE)
    found = groups_of(open_source(str(copy)).open(*_whole(copy)).compute())["optical"]
    assert found.equals(expected) and np.isfinite(found["B2"].values).any()


def _whole(folder: Path) -> tuple[Any, Any]:
    source = open_source(str(folder))
    return source.grid, source.held


@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_windows_of_many_files_are_those_of_the_whole(data: Any, grown: tuple[Numbers, Any]) -> None:
    numbers, whole = grown
    y0, x0 = data.draw(st.integers(0, 19)), data.draw(st.integers(0, 16))
    y, x = slice(y0, data.draw(st.integers(y0 + 1, 20))), slice(x0, data.draw(st.integers(x0 + 1, 17)))
    bands = data.draw(st.permutations(["a", "b", "c", "none"]))
    read = numbers.read(bands, y, x)
    for band, plane in zip(bands, read, strict=True):
        np.testing.assert_array_equal(plane, whole[band][y, x])


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Numbers, dict[str, Any]]:
    """Files of 7 x 5 pixels, each with some of the bands, one missing; and what they hold together."""
    folder, rng = tmp_path_factory.mktemp("numbers"), np.random.default_rng(1)
    grid = GeoBox((20, 17), Affine(10, 0, 0, 0, -10, 0), "EPSG:32631")
    whole = {band: np.full(grid.shape, -1, np.int32) for band in ("a", "b", "c", "none")}
    files = []
    for top in range(0, 20, 7):
        for left in range(0, 17, 5):
            if (top, left) == (7, 5):
                continue
            bands = tuple(rng.permutation(["a", "b", "c"])[: rng.integers(1, 4)].tolist())
            y, x = slice(top, min(top + 7, 20)), slice(left, min(left + 5, 17))
            values = rng.integers(0, 60_000, (len(bands), y.stop - top, x.stop - left)).astype(np.uint16)
            path = folder / f"{top}-{left}.tif"
            shape = {"count": len(bands), "height": y.stop - top, "width": x.stop - left}
            place = grid[y, x].affine
            with rasterio.open(path, "w", "GTiff", dtype="uint16", transform=place, **shape) as file:
                file.write(values)
            for band, plane in zip(bands, values, strict=True):
                whole[band][y, x] = plane
            files.append(File(str(path), bands, y, x))
    return Numbers(grid, files, -1), whole


@pytest.fixture
def cloud(export: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A loopback Cloud Storage that has the files as gs://b/ex/; the paths that were asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self._send(body=False)

        def do_GET(self) -> None:
            self._send(body=True)

        def _send(self, *, body: bool) -> None:
            asked.append(self.path)
            name = self.path.partition("?")[0]
            path = export / name.removeprefix("/b/ex/")
            if name.startswith("/closed/"):
                self._answer(403, b"<Error><Code>AccessDenied</Code></Error>", body)
            elif not name.startswith("/b/ex/") or not path.is_file():
                self._answer(404, b"<Error><Code>NoSuchKey</Code></Error>", body)
            else:
                self._range(path.read_bytes(), body)

        def _range(self, content: bytes, body: bool) -> None:
            found = re.match(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            if not found:
                self._answer(200, content, body)
                return
            first, last = int(found[1]), min(int(found[2]), len(content) - 1)
            told = {"Content-Range": f"bytes {first}-{last}/{len(content)}"}
            self._answer(206, content[first : last + 1], body, told)

        def _answer(self, status: int, content: bytes, body: bool, told: Any = ()) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            for name, value in dict(told).items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setenv("CPL_GS_ENDPOINT", f"http://127.0.0.1:{httpd.server_address[1]}/")
    monkeypatch.setenv("GS_NO_SIGN_REQUEST", "YES")
    yield asked
    httpd.shutdown()
    httpd.server_close()


def test_files_are_read_from_the_bucket(copy: Path, cloud: list[str]) -> None:
    expected = open_source(str(copy)).open(*_whole(copy)).compute()
    for path in copy.glob("*.tif"):
        path.unlink()
    found = open_source(str(copy)).open(*_whole(copy)).compute()  # gs://b/ex, by the manifest
    for name, group in groups_of(expected).items():
        assert groups_of(found)[name].equals(group), name
    assert {path.partition("?")[0] for path in cloud} == {
        f"/b/ex/{name}.tif"
        for name in ("tile_00000_00000", "tile_00000_00001", "topography_00000", "weather")
    }
    collect(copy, "gs://b/ex/")
    assert copy.with_name("s.zarr").exists()


def test_a_bucket_without_the_files_or_the_right_to_read_is_told(copy: Path, cloud: list[str]) -> None:
    with pytest.raises(SourceError, match="4 of 4 files of the export are not in gs://b/elsewhere: tile_"):
        collect(copy, "gs://b/elsewhere")
    with pytest.raises(SourceError, match="GOOGLE_APPLICATION_CREDENTIALS"):
        collect(copy, "gs://closed/ex")
