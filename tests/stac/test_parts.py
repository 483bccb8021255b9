"""Parts of images: the bytes that a window needs and no others, and what becomes of them."""

import os
import pickle
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.errors
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from odc.geo.geobox import GeoBox
from rasterio.io import MemoryFile
from rasterio.shutil import copy as rio_copy
from rasterio.windows import Window
from stac_data import add_item, write_cog
from stac_server import StacServer, serving

from geocomiss.seasons import Calendar
from geocomiss.sources import open_source
from geocomiss.sources.base import Reading
from geocomiss.sources.stac import parts
from geocomiss.sources.stac.kept import KeptBlocks
from geocomiss.sources.stac.parts import LONGEST
from geocomiss.sources.stac.source import StacSource
from geocomiss.sources.stac.tiff import Foreign, Incomplete, Layout, layout_of, part_of
from geocomiss.stack import groups_of

SHAPE = (300, 410)
GRID = GeoBox((80, 72), Affine(10, 0, 640_000, 0, -10, 5_610_000), "EPSG:32631")
MAY = Calendar(date(2021, 5, 1), "month", 1)
RADAR = Reading({"radar": ("VV", "VH")})
RNG = np.random.default_rng(0)
VALUES = RNG.integers(1, 3000, SHAPE).astype("u2")
KINDS: dict[str, dict[str, Any]] = {
    "cog": {"driver": "COG", "BLOCKSIZE": 128, "COMPRESS": "DEFLATE"},
    "big cog": {"driver": "COG", "BLOCKSIZE": 128, "COMPRESS": "ZSTD", "BIGTIFF": "YES", "PREDICTOR": "YES"},
    "big endian": {"tiled": True, "blockxsize": 64, "blockysize": 32, "compress": "LZW", "ENDIANNESS": "BIG"},
    "strips": {"compress": "DEFLATE"},
    "plain": {"tiled": True, "blockxsize": 64, "blockysize": 64, "BIGTIFF": "YES", "ENDIANNESS": "BIG"},
}


def stored(path: Path, options: dict[str, Any]) -> bytes:
    profile = {"height": SHAPE[0], "width": SHAPE[1], "count": 1, "dtype": "u2", "nodata": 0}
    with MemoryFile() as memory:
        with memory.open(driver="GTiff", transform=GRID.affine, crs="EPSG:32631", **profile) as file:
            file.write(VALUES, 1)
        with memory.open() as file:
            rio_copy(file, path, **({"driver": "GTiff"} | options))
    return path.read_bytes()


def parsed(content: bytes, first: int) -> Layout:
    """As it is fetched: more of the beginning where that is asked for."""
    while True:
        try:
            return layout_of(content[:first])
        except Incomplete as error:
            assert first < error.args[0] <= len(content)
            first = int(error.args[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_holds_what_a_window_of_the_whole_holds(kind: str, tmp_path: Path) -> None:
    content = stored(tmp_path / "a.tif", KINDS[kind])
    layout = parsed(content, 16)
    for _ in range(8):
        rows, cols = (slice(*sorted(RNG.choice(size + 1, 2, replace=False).tolist())) for size in SHAPE)
        wanted = layout.blocks(rows, cols)
        spans = [layout.span(group) for group in layout.ranges(wanted)]
        fetched = sum(length for _, length in spans)
        assert fetched <= sum(int(layout.lengths[number]) for number in wanted) + 64 * len(wanted)
        blocks = {}
        for number in wanted:
            start, length = int(layout.starts[number]), int(layout.lengths[number])
            assert any(first <= start and start + length <= first + size for first, size in spans)
            blocks[number] = content[start : start + length]
        with MemoryFile(part_of(layout, blocks)) as memory, memory.open() as file:
            window = Window.from_slices(rows, cols)
            np.testing.assert_array_equal(file.read(1, window=window), VALUES[rows, cols])
            assert (file.nodata, file.crs.to_epsg(), file.transform) == (0, 32631, GRID.affine)
            absent = sorted(set(range(len(layout.starts))) - set(wanted))
            if absent:
                row, col = absent[0] // layout.across, absent[0] % layout.across
                y, x = row * layout.block[0], col * layout.block[1]
                assert file.read(1, window=Window(x, y, 1, 1)).item() == 0, "what is not there is no data"


@pytest.mark.parametrize(
    "content", [b"", b"II", b"\x89PNG" * 40, b"II*\0" + bytes(60), b"II*\0\x08" + bytes(90)]
)
def test_what_is_no_tiff_is_left_to_gdal(content: bytes) -> None:
    with pytest.raises((Foreign, Incomplete)):
        layout_of(content)


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_damaged_headers_never_raise_anything_else(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / f"{kind}.tif"
    content = bytearray(path.read_bytes() if path.exists() else stored(path, KINDS[kind]))
    end = parsed(bytes(content), 16).end
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    try:
        layout = parsed_once(bytes(content))
    except (Foreign, Incomplete):
        return
    try:
        with MemoryFile(part_of(layout, {})) as memory, memory.open() as file:
            file.read(1, window=Window(0, 0, 1, 1))
    except (rasterio.errors.RasterioError, rasterio.errors.CRSError):
        pass


def parsed_once(content: bytes) -> Layout:
    return layout_of(content[:LONGEST])


def catalogue(server: StacServer) -> None:
    values = RNG.uniform(0.01, 1, GRID.shape).astype("f4")  # does not fit in what comes with a header
    for day in (4, 16):
        images = {band: (values * day, GRID) for band in ("VV", "VH")}
        told = {"platform": "SENTINEL-1A", "sat:orbit_state": "ascending", "sat:absolute_orbit": day}
        add_item(server, "s1-rtc", f"S1-{day}", datetime(2021, 5, day), images, told, block=16)


@pytest.fixture
def radar(tmp_path: Path) -> Any:
    with serving(tmp_path / "files") as server:
        (tmp_path / "files").mkdir()
        catalogue(server)
        yield server


def read(server: StacServer, grid: GeoBox = GRID, **reading: Any) -> tuple[np.ndarray, StacSource]:
    source = open_source(f"stac+{server.url}", reading=Reading(RADAR.wanted, **reading))
    assert isinstance(source, StacSource)
    return groups_of(source.open(grid, MAY).compute())["radar"]["VV"].values, source


def test_requests_that_fail_once_are_sent_again_and_counted(radar: StacServer) -> None:
    expected, calm = read(radar)
    path = "/files/S1-4/vv.tif"
    for fault in ({"once": {path: (503, 2)}}, {"broken": {path: 1}}, {"once": {path: (429, 1)}}):
        radar.fail(**fault)  # type: ignore[arg-type]
        radar.forget()
        found, source = read(radar)
        np.testing.assert_array_equal(found, expected)
        assert not source.account()[1] and source.traffic.requests == sum(radar.asked().values())
        assert source.traffic.fewest_requests == calm.traffic.fewest_requests
        assert source.traffic.requests > calm.traffic.requests - 4  # small headers bring blocks along


def test_an_answer_that_always_breaks_off_is_an_unreadable_image(radar: StacServer) -> None:
    radar.fail(broken={"/files/S1-4/vv.tif": 99})
    _, source = read(radar, max_unreadable=0.5)
    assert "S1-4/vv.tif (the answer breaks off)" in source.account()[1][0]


def test_a_server_without_ranges_is_read_by_gdal(radar: StacServer) -> None:
    expected, _ = read(radar)
    radar.fail(whole=True)
    found, source = read(radar)
    np.testing.assert_array_equal(found, expected)
    assert source.traffic.uncounted == 4 and not source.account()[1]


@pytest.mark.parametrize("fault", [{"more": 10**6}, {"off": 40}])
def test_other_bytes_than_asked_for_are_not_used(radar: StacServer, fault: dict[str, int]) -> None:
    expected, _ = read(radar)
    source = open_source(f"stac+{radar.url}", reading=RADAR)
    assert isinstance(source, StacSource)
    source.open(GRID[:16, :16], MAY).compute()  # headers, as they are
    radar.fail(**fault)  # type: ignore[arg-type]
    radar.tell(faults={"whole": "off" in fault})  # GDAL then reads the whole file
    found = groups_of(source.open(GRID, MAY).compute())["radar"]["VV"].values
    np.testing.assert_array_equal(found, expected)
    assert source.traffic.uncounted == 4 and not source.account()[1]


def test_headers_in_memory_are_bounded(radar: StacServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "HEADERS", 3_000)
    _, source = read(radar)
    held = source._images.parts
    assert held._held == sum(image.layout.memory for image in held._images.values())
    assert 1 <= len(held._images) < 4 and (held._held <= 3_000 or len(held._images) == 1)


def test_blocks_that_share_bytes_are_fetched_whole_and_giants_are_left_to_gdal(tmp_path: Path) -> None:
    content = stored(tmp_path / "a.tif", KINDS["cog"])
    layout = parsed(content, 16)
    nested = replace(layout, starts=layout.starts.copy(), lengths=layout.lengths.copy())
    nested.starts[1], nested.lengths[1] = nested.starts[0] + 4, 8
    (group,) = nested.ranges([0, 1])
    assert nested.span(group) == (int(layout.starts[0]), int(layout.lengths[0]))
    damaged = bytearray(content)
    damaged[layout.sizes.at : layout.sizes.at + 4] = b"\xff\xff\xff\x7f"
    with pytest.raises(Foreign):
        layout_of(bytes(damaged))


def test_coarse_grids_are_read_from_smaller_copies(radar: StacServer) -> None:
    coarse = GeoBox((20, 18), GRID.affine * Affine.scale(4), GRID.crs)
    found, source = read(radar, coarse)
    assert np.isfinite(found).all() and source.traffic.uncounted == 4


def test_a_file_that_changes_while_it_is_read_is_unreadable(radar: StacServer) -> None:
    radar.renew()
    source = open_source(f"stac+{radar.url}", reading=Reading(RADAR.wanted, max_unreadable=0.5))
    assert isinstance(source, StacSource)
    source.open(GRID, MAY)
    groups_of(source.open(GRID[:16, :16], MAY).compute())
    path = radar.folder / "S1-4" / "vv.tif"
    noise = RNG.uniform(0.01, 1, GRID.shape).astype("f4")
    write_cog(path, np.tile(noise, (2, 1)), GeoBox((160, 72), GRID.affine, GRID.crs), -32768.0, 16)
    groups_of(source.open(GRID, MAY).compute())
    assert "S1-4/vv.tif (the file has changed while it was read)" in source.account()[1][0]


def test_blocks_of_one_window_are_there_for_the_next_and_for_other_processes(
    radar: StacServer, tmp_path: Path
) -> None:
    source = open_source(f"stac+{radar.url}", reading=Reading(RADAR.wanted, keep=tmp_path / "kept"))
    assert isinstance(source, StacSource)
    whole = source.open(GRID, MAY)
    first = groups_of(source.open(GRID[:40, :40], MAY).compute())["radar"]
    radar.forget()
    copy = pickle.loads(pickle.dumps(source))
    again = groups_of(copy.open(GRID[:30, :30], MAY).compute())["radar"]
    np.testing.assert_array_equal(again["VV"].values, first["VV"].values[:, :30, :30])
    inside = {path for path, number in radar.asked().items() if number}
    assert not radar.sent() or len(inside) <= 4, "blocks wholly within the first window are not kept"
    for file in (tmp_path / "kept").rglob("*"):
        if file.is_file():
            content = file.read_bytes()  # cut short by a power cut, or only its length was written
            file.write_bytes(content[:-3] if file.name == "head" else bytes(len(content)))
    fresh = open_source(f"stac+{radar.url}", reading=Reading(RADAR.wanted, keep=tmp_path / "kept"))
    found = groups_of(fresh.open(GRID, MAY).compute())["radar"]
    np.testing.assert_array_equal(found["VV"].values, groups_of(whole.compute())["radar"]["VV"].values)


def test_the_oldest_blocks_go_and_a_disk_that_takes_none_does_no_harm(tmp_path: Path) -> None:
    for number in range(6):  # a process for each, as where runs are interrupted
        KeptBlocks(tmp_path / "a", most=300).keep("image", str(number), bytes(90))
        (path,) = tmp_path.glob(f"a/*/{number}")
        os.utime(path, (number, number))
    kept = KeptBlocks(tmp_path / "a", most=300)
    assert [kept.read("image", str(n)) is not None for n in range(6)] == [n >= 3 for n in range(6)]
    (tmp_path / "file").write_text("")
    nowhere = KeptBlocks(tmp_path / "file")
    nowhere.keep("image", "0", b"x")
    assert nowhere.read("image", "0") is None
    temporary = KeptBlocks(None)
    temporary.keep("image", "0", b"x")
    assert (
        temporary.read("image", "0") == b"x"
        and pickle.loads(pickle.dumps(temporary)).read("image", "0") is None
    )


def test_bands_of_a_scene_without_a_clear_pixel_are_not_read(world: StacServer) -> None:
    """Clouds beyond the window count, pixels beyond it do not."""
    reading = Reading({"optical": ("B2", "B4")})
    grid = GRID[30:50, 30:50]
    worth = []
    for item in world.items():
        if item["id"].startswith("S2-202105"):
            with rasterio.open(world.folder / item["id"] / "SCL.tif") as file:
                scl = file.read(1, window=Window(8 + 30 - 3, 8 + 30 - 3, 26, 26))
            if clear_somewhere(scl):
                worth.append(item["id"])
    open_source(f"stac+{world.url}", reading=reading).open(grid, MAY).compute()
    read = {path.split("/")[2] for path in world.asked() if path.endswith("B02.tif")}
    assert read == set(worth) and len(worth) < 6


def clear_somewhere(scl: np.ndarray) -> bool:
    """Slowly: any pixel 3 in from the edge that is clear, and so is all within 30 m."""
    grown = np.isin(scl, (0, 1, 3, 8, 9, 10, 11))
    for row in range(3, scl.shape[0] - 3):
        for col in range(3, scl.shape[1] - 3):
            near = [grown[row + i, col + j] for i in range(-3, 4) for j in range(-3, 4) if i * i + j * j <= 9]
            if scl[row, col] in (4, 5, 6, 7) and not any(near):
                return True
    return False
