"""A disk that is full while a tile or a layer is written: said, nothing half-written, and the map goes on."""

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from gappy import GRID, gappy_groups, store, untrained
from map_process import Moment, finish, names, same, start

from geocomiss.mapping import MapRequest, make_map

TILES = 9
PAGE = 4096
"""Bytes in which a file system in memory gives space."""


@pytest.fixture(scope="module")
def request_map(tmp_path_factory: pytest.TempPathFactory) -> MapRequest:
    """A map of nine tiles of some 6 kB; its layers have up to 27 kB."""
    folder = tmp_path_factory.mktemp("full")
    return MapRequest(
        str(store(folder, gappy_groups())), folder / "map", model=str(untrained(folder)), tile=20
    )


@pytest.fixture(scope="module")
def undisturbed(request_map: MapRequest) -> Path:
    return make_map(replace(request_map, out=request_map.out.with_name("undisturbed"), tile=512)).folder


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    try:
        mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
        mounted = subprocess.run(mount, capture_output=True, text=True)
        reason = mounted.stderr.strip() if mounted.returncode else ""
    except OSError as error:
        reason = str(error)
    if reason:
        pytest.skip(f"a small disk cannot be mounted here: {reason}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def stopped(request: MapRequest, said: Path, *, file_limit: int | None = None) -> list[str]:
    """What is left of a map that could not be written: the names of its tiles that are done."""
    assert finish(start(request, file_limit=file_limit, said=said)) == 1
    assert "cannot be written" in said.read_text() and "free" in said.read_text()
    assert [path.name for path in request.out.iterdir()] == ["tiles"]
    tiles = request.out / "tiles"
    assert not [*tiles.rglob("*.partial"), *tiles.rglob("*.plain.tif*"), *tiles.rglob("*.cog.tif*")]
    done = sorted(set(names(request.out, "done")))
    assert [path.stem for path in sorted(tiles.rglob("*.npz"))] == done
    return done


def goes_on(request: MapRequest, done: list[str], undisturbed: Path) -> None:
    """The same command completes the map and computes no finished tile again."""
    width = GRID.width // request.tile
    rows = {name: min(request.tile, GRID.height - request.tile * int(name[:5])) for name in done}
    assert width * request.tile == GRID.width
    kept = sum(request.tile * height for height in rows.values())
    assert make_map(request).computed == GRID.height * GRID.width - kept
    assert same(request.out, undisturbed)
    assert not (request.out / "tiles").exists()


def test_a_tile_that_outgrows_a_limit(request_map: MapRequest, undisturbed: Path, tmp_path: Path) -> None:
    request = replace(request_map, out=tmp_path / "map")
    # killed after two tiles: the first file to be renamed is the request's
    finish(start(request, dies=Moment("os.rename", ".partial", 4)))
    for left in (request.out / "tiles").rglob("*.partial"):
        left.unlink()  # of the process that was killed
    done = stopped(request, tmp_path / "said", file_limit=4000)
    assert len(done) == 2
    goes_on(request, done, undisturbed)


def test_a_layer_that_outgrows_a_limit(request_map: MapRequest, undisturbed: Path, tmp_path: Path) -> None:
    request = replace(request_map, out=tmp_path / "map")
    done = stopped(request, tmp_path / "said", file_limit=8000)
    assert "MB free for this file, and room for any after it" in (tmp_path / "said").read_text()
    assert len(done) == TILES
    goes_on(request, done, undisturbed)


@pytest.mark.parametrize(
    ("pages", "fewest", "most"), [(8, 1, TILES - 1), (32, TILES, TILES)], ids=["a tile", "a layer"]
)
def test_a_disk_that_is_full(
    request_map: MapRequest,
    undisturbed: Path,
    small_disk: Path,
    tmp_path: Path,
    pages: int,
    fewest: int,
    most: int,
) -> None:
    request, filler = replace(request_map, out=small_disk / "map"), small_disk / "filler"
    filler.write_bytes(bytes(2**20 - pages * PAGE))
    done = stopped(request, tmp_path / "said")
    assert fewest <= len(done) <= most
    filler.unlink()
    goes_on(request, done, undisturbed)
