"""The workflow of `geocomiss serve`: the page of a map that is too large for one file, in tiles."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import ceil, log2
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import rasterio
from rasterio.errors import RasterioError

from geocomiss.errors import MapError
from geocomiss.maps import Layer
from geocomiss.viewing.frames import BYTES, COARSER, Frame, frame_of
from geocomiss.viewing.opened import OpenedMap, open_map_to_view
from geocomiss.viewing.report import fill_page, layer_content, page_content
from geocomiss.viewing.view import check_basemap

if TYPE_CHECKING:
    from fastapi import FastAPI

    from geocomiss.viewing.tiles import Raster

INSTALL: Final = 'pip install "geocomiss[serve]"'
"""What brings TiTiler and a web server."""
LOOPBACK: Final = "127.0.0.1"
"""Only this machine."""
LOCAL: Final = (LOOPBACK, "localhost")
"""Names of this machine for itself."""
WORLD: Final = 2 * np.pi * 6378137.0
"""Metres around the equator of Web Mercator: one tile at zoom 0."""
TILE: Final = 256
"""Pixels a side of a tile."""
SAMPLE: Final = 1024
"""Pixels a side at which the lowest and highest values are looked for."""
COARSE: Final = 4096
"""Pixels a side from which a raster without overviews is slow to draw from afar."""
CURVES: Final = "ndvi"
"""The layer that is told at places and not drawn."""


@dataclass(frozen=True)
class ServeRequest:
    """The arguments of `geocomiss serve`."""

    path: Path
    """Folder of a map, or a GeoTIFF of classes."""
    legend: Path | None = None
    """CSV with other names and colours of the classes."""
    title: str | None = None
    """What the map is called; None: after its season."""
    basemap: str | None = None
    """Address of base tiles for the page; None: it asks nobody else."""
    host: str = LOOPBACK
    """Address to listen on."""
    port: int = 8080
    """Port to listen on; 0: any that is free."""


@dataclass(frozen=True)
class Serving:
    """What is said once the server listens."""

    address: str
    """Where the page is."""
    missing: tuple[str, ...]
    """What cannot be shown, and why."""
    notes: tuple[str, ...]
    """What is slower than it could be."""


def serve_map(request: ServeRequest, ready: Callable[[Serving], None]) -> None:
    """Serve the page of a map and its tiles until interrupted.

    Args:
        request: What to serve, and where.
        ready: Told once when it can be looked at.

    Raises:
        MapError: The extra `serve` is not installed, there is nothing to show, or the port cannot be had.
    """
    check_basemap(request.basemap)
    with _listening(request.host, request.port) as listener:
        _check_installed()
        opened = open_map_to_view(request.path, request.legend, request.title)
        app, lost = _app(opened, request)
        name = socket.gethostname() if request.host in ("0.0.0.0", "::") else request.host
        place = f"[{name}]" if ":" in name else name
        address = f"http://{place}:{listener.getsockname()[1]}/"
        ready(Serving(address, (*opened.missing, *lost), tuple(_slow(opened))))
        _run(app, listener)


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise MapError(
            f"port {port} of {host} cannot be had ({error.strerror or error})",
            expected="a free port of an address of this machine",
            todo="choose another --port (0: any that is free), or another --host",
        ) from error
    with listener:
        yield listener


def _check_installed() -> None:
    try:
        import titiler.core.factory  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise MapError(
            f"the libraries TiTiler and uvicorn are not installed ({error})",
            expected="the extra serve",
            todo=f"install it: {INSTALL}",
        ) from error


def _app(opened: OpenedMap, request: ServeRequest) -> tuple["FastAPI", list[str]]:
    """The application, and what of the map it cannot show."""
    from geocomiss.viewing.tiles import GRID, tile_app

    frame = frame_of(opened.grid, max(opened.grid.shape))
    rasters: dict[str, Raster] = {}
    layers, lost = [], []
    for path, layer in opened.layers:
        try:
            raster, shown = _raster(path, layer)
        except RasterioError as error:
            lost.append(f"{path.name}: cannot be read ({str(error).splitlines()[0]})")
            continue
        bands = "&".join(f"bidx={number}" for number in ((1, 2, 3) if layer.rgb else (1,)))
        at = f"layers/{layer.name}"
        rasters[layer.name] = raster
        layers.append(
            layer_content(shown, layer.scale * (raster.step or 1))
            | {"tiles": f"{at}/tiles/{GRID}/{{z}}/{{x}}/{{y}}.png?{bands}"}
            | {"place": f"{at}/point/{{lng}},{{lat}}", "stored": layer.scale}
        )
    content = page_content(opened, frame, layers, request.basemap)
    content |= {"missing": [*opened.missing, *lost], "zoom": _zoom(frame)}
    hosts = LOCAL if request.host in LOCAL else ("*",)
    return tile_app(fill_page(opened.title, content), request.basemap, rasters, hosts), lost


def _raster(path: Path, layer: Layer) -> tuple["Raster", Layer]:
    """How a layer is served, and the layer with the ends of its ramp."""
    from geocomiss.viewing.tiles import Raster

    with rasterio.open(path) as file:
        stored_in_bytes = set(file.dtypes) == {"uint8"}
    if layer.look != "ramp" or (stored_in_bytes and layer.span):
        return Raster(path, layer.nodata, None), layer
    low, high = _extremes(path, layer)
    step = None if stored_in_bytes else max(1, ceil(high / BYTES))
    if layer.span is None:
        ends = (layer.offset + layer.scale * low, layer.offset + layer.scale * max(high, low + 1))
        layer = replace(layer, span=ends)
    return Raster(path, layer.nodata, step), layer


def _extremes(path: Path, layer: Layer) -> tuple[int, int]:
    """Lowest and highest stored value of the first band, seen coarsely.

    Raises:
        rasterio.errors.RasterioError: Nothing of it can be read.
    """
    with rasterio.open(path) as file:
        coarser = max(1.0, max(file.shape) / SAMPLE)
        for damaged in COARSER:
            shape = tuple(max(1, round(size / coarser / damaged)) for size in file.shape)
            try:
                values = file.read(1, out_shape=shape)
                break
            except RasterioError:
                if damaged == COARSER[-1]:
                    raise
    known = values[values != layer.nodata]
    return (int(known.min()), int(known.max())) if known.size else (0, 1)


def _zoom(frame: Frame) -> int:
    """The zoom at which a pixel of a tile is one of the map, or finer."""
    west, _, east, _ = frame.bounds
    return int(np.clip(ceil(log2(WORLD / TILE * frame.size[0] / (east - west)) - 0.01), 0, 22))


def _slow(opened: OpenedMap) -> Iterator[str]:
    """Large rasters that have no coarser copies of themselves."""
    for path, layer in opened.layers:
        if layer.name == CURVES:
            continue
        with rasterio.open(path) as file:
            if max(file.shape) > COARSE and not file.overviews(1):
                yield (
                    f"{path.name} has no overviews: it is slow to draw from afar; "
                    f"`gdaladdo -r mode {path.name}` adds them"
                )


def _run(app: "FastAPI", listener: socket.socket) -> None:
    """Answer until interrupted."""
    import uvicorn

    config: Any = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False)
    uvicorn.Server(config).run(sockets=[listener])
