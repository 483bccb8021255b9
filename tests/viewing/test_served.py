"""`geocomiss serve`: a real server process on loopback, asked by clients and by a real browser."""

import builtins
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
import rasterio
import rasterio.shutil
from browsing import SIZES, Visit, eventually, show
from foreign import foreign
from packaged import COLORS, NASTY
from PIL import Image

from geocomiss.errors import MapError
from geocomiss.viewing.served import ServeRequest, serve_map

ROOT = Path(__file__).resolve().parents[2]
LAYERS = {"crop_type", "confidence", "modalities", "observations", "true_color", "ndvi"}


class Server:
    """A process of the command line that serves a map."""

    def __init__(self, *arguments: str) -> None:
        paths = os.pathsep.join([str(ROOT), str(ROOT / "cli"), os.environ.get("PYTHONPATH", "")])
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from geocomiss_cli.main import main; main()", "serve", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": paths},
        )
        self.said: list[str] = []
        assert self.process.stdout
        for line in self.process.stdout:
            self.said.append(line)
            if found := re.search("http://[^ ]+", line):
                self.address = found[0]
                return
        raise AssertionError(self.process.communicate()[1])

    def ask(self, path: str, host: str | None = None) -> tuple[int, bytes]:
        """An answer to an address as it is, dots and all."""
        place = urlsplit(self.address)
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)  # type: ignore[arg-type]
        connection.putrequest("GET", path, skip_host=host is not None)
        if host:
            connection.putheader("Host", host)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()

    def stop(self) -> tuple[int, str]:
        """End it as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        _, complaints = self.process.communicate(timeout=30)
        return self.process.returncode, complaints


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Server]:
    started = Server(str(folder), "--port", "0")
    yield started
    started.process.kill()
    started.process.communicate()


def content(page: bytes) -> dict[str, Any]:
    found = re.search(b'<script id="content" type="application/json">(.*?)</script>', page, re.S)
    assert found
    return json.loads(found[1])


def tile_of(held: dict[str, Any], row: int, col: int) -> tuple[int, int, int]:
    """Zoom, column and row of the tile that lies so many tenths down and across the map."""
    west, south, east, north = held["bounds"]
    half, z = np.pi * 6378137.0, held["zoom"]
    size = 2 * half / 2**z
    x, y = west + (east - west) * col / 10, north - (north - south) * row / 10
    return z, int((x + half) // size), int((half - y) // size)


def test_tiles_hold_the_values_of_the_rasters(server: Server, folder: Path) -> None:
    """Each opaque pixel of tiles compared with the raster at its centre."""
    held = content(server.ask("/")[1])
    half, agree, asked = np.pi * 6378137.0, 0, 0
    with rasterio.open(folder / "crop_type.tif") as file:
        values = file.read(1)
        for row in (2, 5, 8):
            z, x, y = tile_of(held, row, 5)
            status, png = server.ask(f"/layers/crop_type/tiles/WebMercatorQuad/{z}/{x}/{y}.png?bidx=1")
            assert status == 200
            shown = np.asarray(Image.open(io.BytesIO(png)).convert("LA"))
            size = 2 * half / 2**z / 256
            for down, right in np.argwhere(shown[..., 1] > 0)[::37]:
                east, north = -half + (x * 256 + right + 0.5) * size, half - (y * 256 + down + 0.5) * size
                (e,), (n,) = rasterio.warp.transform("EPSG:3857", file.crs, [east], [north])
                r, c = file.index(e, n)
                asked += 1
                agree += (
                    0 <= r < file.height and 0 <= c < file.width and values[r, c] == shown[down, right, 0]
                )
    assert asked > 50 and agree > 0.97 * asked  # the warper may err by a hair at the edges of pixels


def test_places_tell_what_the_rasters_hold(server: Server, folder: Path) -> None:
    held = content(server.ask("/")[1])
    assert {each["name"] for each in held["layers"]} == LAYERS
    for layer in held["layers"]:
        with rasterio.open(folder / f"{layer['name']}.tif") as file:
            row, col = file.height // 2, file.width // 3
            (lon,), (lat,) = rasterio.warp.transform(
                file.crs, "EPSG:4326", *map(lambda v: [v], file.xy(row, col))
            )
            expected = [None if v == file.nodata else v for v in file.read()[:, row, col].tolist()]
        status, told = server.ask("/" + layer["place"].format(lng=lon, lat=lat))
        assert (status, json.loads(told)["values"]) == (200, expected), layer["name"]
    assert server.ask("/layers/crop_type/point/100,-40") == (204, b"")
    assert server.ask("/layers/crop_type/tiles/WebMercatorQuad/3/0/0.png?bidx=1")[0] == 204


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/layers/../run/point/1,1", 404),
        ("/layers/..%2F..%2Fetc%2Fpasswd/point/1,1", 404),
        ("/layers/%2Fetc%2Fpasswd/point/1,1", 404),
        ("/layers/probabilities/point/1,1", 404),
        ("/run.json", 404),
        ("/crop_type.tif", 404),
        ("/../../etc/passwd", 404),
        ("/docs", 404),
        ("/openapi.json", 404),
        ("/layers/crop_type/info", 404),
        ("/layers/crop_type/point/1,1?url=/etc/passwd", 400),
        ("/layers/crop_type/tiles/WebMercatorQuad/3/4/2.png?tilesize=60000", 400),
        ("/layers/crop_type/tiles/WebMercatorQuad/3/4/2.png?expression=b1", 400),
        ("/layers/crop_type/point/x,y", 422),
    ],
)
def test_nothing_but_the_layers_of_the_map_is_served(server: Server, path: str, status: int) -> None:
    found, answer = server.ask(path)
    assert found == status
    assert b"root:" not in answer and str(ROOT).encode() not in answer


def test_only_this_machine_may_ask_by_its_own_names(server: Server) -> None:
    assert server.address.startswith("http://127.0.0.1:")
    port = urlsplit(server.address).port
    assert [server.ask("/", host)[0] for host in (f"localhost:{port}", "evil.test")] == [200, 400]


def test_a_port_that_is_taken_is_said(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(MapError, match="--port"):
        serve_map(ServeRequest(folder, port=taken.getsockname()[1]), lambda _: None)
    with pytest.raises(MapError, match="--host"):
        serve_map(ServeRequest(folder, host="no such host", port=0), lambda _: None)


def test_a_missing_extra_is_named_with_its_command(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.split(".")[0] == "titiler":
            raise ModuleNotFoundError(f"No module named {name!r}")
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MapError) as caught:
        serve_map(ServeRequest(folder, port=0), lambda _: None)
    assert 'pip install "geocomiss[serve]"' in str(caught.value)


@pytest.mark.slow
def test_a_map_of_another_tool_is_served_until_ctrl_c(tmp_path: Path) -> None:
    """Without sidecars, nodata and overviews, and large enough that this is said."""
    foreign(
        tmp_path / "theirs.tif", np.kron(np.arange(1, 10).reshape(3, 3), np.ones((20, 1400))).astype("u1")
    )
    started = Server(str(tmp_path / "theirs.tif"), "--port", "0")
    held = content(started.ask("/")[1])
    assert [each["name"] for each in held["areas"]] == [f"class {value}" for value in range(1, 10)]
    assert any("no overviews" in line for line in started.said)
    assert started.stop() == (0, "")


@pytest.mark.slow
def test_a_damaged_layer_does_not_take_the_others_away(tmp_path: Path, browser: Any) -> None:
    rng = np.random.default_rng(0)
    for name, nodata in (("crop_type", 0), ("confidence", 255)):
        plain = foreign(tmp_path / "plain.tif", rng.integers(1, 9, (900, 900)).astype("u1"), nodata=nodata)
        rasterio.shutil.copy(plain, tmp_path / f"{name}.tif", driver="COG")
        plain.unlink()
    whole = (tmp_path / "confidence.tif").read_bytes()
    (tmp_path / "confidence.tif").write_bytes(whole[: len(whole) // 2])  # with overviews and the first block
    started = Server(str(tmp_path), "--port", "0")
    page = browser.new_page()
    page.goto(started.address)
    page.wait_for_selector("canvas.leaflet-tile-loaded")
    show(page, "confidence")
    page.click(".leaflet-control-zoom-in")
    eventually(lambda: "a part of Confidence" in page.inner_text("#warnings"), True)
    show(page, "crop_type")
    page.wait_for_selector("canvas.leaflet-tile-loaded")
    page.close()
    assert started.stop()[0] == 0


def visited(browser: Any, server: Server, size: str = "desk") -> Visit:
    width, height = SIZES[size]
    visit = Visit(browser.new_page(viewport={"width": width, "height": height}))
    visit.page.goto(server.address)
    visit.page.wait_for_selector("body[data-ready=yes]")
    visit.page.wait_for_selector("canvas.leaflet-tile-loaded")
    return visit


def tile_colors(page: Any) -> set[str]:
    """Colours of all tiles."""
    return set(
        page.evaluate(
            """() => {
              const found = new Set(), hex = (part) => part.toString(16).padStart(2, "0");
              for (const canvas of document.querySelectorAll("canvas.leaflet-tile")) {
                const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
                for (let i = 0; i < data.length; i += 4)
                  if (data[i + 3]) found.add("#" + [...data.slice(i, i + 3)].map(hex).join(""));
              }
              return [...found];
            }"""
        )
    )


@pytest.mark.slow
def test_the_page_of_tiles_does_what_the_report_does(browser: Any, server: Server, folder: Path) -> None:
    """Colours, hiding, switching, opacity, clicking; nobody but the server is asked, nothing complains."""
    with rasterio.open(folder / "crop_type.tif") as file:
        values = file.read(1)
        present = [value for value in np.unique(values) if value]
    visit = visited(browser, server)
    page = visit.page
    eventually(lambda: tile_colors(page), {COLORS[value - 1] for value in present})
    page.uncheck(f"#legend tbody tr:nth-child({present[0]}) input")
    eventually(lambda: tile_colors(page), {COLORS[value - 1] for value in present[1:]})
    page.check(f"#legend tbody tr:nth-child({present[0]}) input")
    for layer in ("confidence", "modalities", "observations", "true_color", "crop_type"):
        show(page, layer)
        page.wait_for_selector("canvas.leaflet-tile-loaded")
    page.fill("#opacity", "30")
    assert page.eval_on_selector(".leaflet-layer.overlay", "each => each.style.opacity") == "0.3"
    box = page.locator("#map").bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.472, box["y"] + box["height"] * 0.537)
    page.wait_for_selector("#told #curve")
    told = dict(
        page.eval_on_selector_all(
            "#told dt", "all => all.map(each => [each.textContent, each.nextSibling.textContent])"
        )
    )
    lat, lon = map(float, told["Place"].split(", "))
    with rasterio.open(folder / "crop_type.tif") as crop, rasterio.open(folder / "confidence.tif") as sure:
        (x,), (y,) = rasterio.warp.transform("EPSG:4326", crop.crs, [lon], [lat])
        (value,), (steps,) = next(crop.sample([(x, y)])), next(sure.sample([(x, y)]))
    assert told["Crop type"] == (NASTY[value - 1] if value else "no class")
    assert told["Confidence"] == f"{int(steps * 0.5 + 0.5)} %"
    assert "optical" in told["Modalities used"]
    assert all(url.startswith((server.address, "data:", "blob:")) for url in visit.requests)
    assert visit.complaints == []
    page.close()


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES)
def test_it_fits_screens(browser: Any, server: Server, tmp_path: Path, size: str) -> None:
    page = visited(browser, server, size).page
    page.screenshot(path=tmp_path / f"{size}.png")
    wide = page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert wide[0] <= wide[1]
    drawn = np.asarray(Image.open(tmp_path / f"{size}.png").convert("RGB")).reshape(-1, 3)
    assert set(map(tuple, drawn.tolist())) & {tuple(bytes.fromhex(each[1:])) for each in COLORS}
    page.close()
