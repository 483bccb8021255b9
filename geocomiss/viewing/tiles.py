"""The web application behind `geocomiss serve`: one page, and TiTiler's tiles and values of one map.

Rasters are served by their names: no address ever becomes a path, and nothing else of the disk is reached.
Importing this needs the extra `serve`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import morecantile
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi import Path as Part
from fastapi.responses import HTMLResponse
from rio_tiler.errors import PointOutsideBounds, TileOutsideBounds
from starlette.middleware.trustedhost import TrustedHostMiddleware
from titiler.core.dependencies import BidxParams, DefaultDependency
from titiler.core.errors import DEFAULT_STATUS_CODES, add_exception_handlers
from titiler.core.factory import TilerFactory

GRID: Final = "WebMercatorQuad"
"""The tiling of web maps."""
FULL: Final = 255
"""Highest byte of a tile."""
ASKED: Final = frozenset({"bidx"})
"""What an address may ask for beyond its path: bands."""
EMPTY: Final = 204
"""Status of a tile or place outside a raster: no error."""


@dataclass(frozen=True)
class Raster:
    """A raster that is served."""

    path: Path
    """Its file."""
    nodata: int
    """Value that says "nothing here"."""
    step: int | None
    """How many units of the raster a byte of its tiles is; None: its values are bytes."""


@dataclass
class _Reading(DefaultDependency):
    """How a raster is opened."""

    options: dict[str, Any]
    colormap: dict[int, Any]


@dataclass
class _Drawing(DefaultDependency):
    """How values become bytes."""

    rescale: Sequence[tuple[float, float]] | None


class _Tiles(TilerFactory):
    """TiTiler's tiles and values at a place, and none of its other endpoints."""

    def register_routes(self) -> None:
        """What is served."""
        self.tile()  # type: ignore[no-untyped-call]
        self.point()  # type: ignore[no-untyped-call]


def tile_app(page: str, basemap: str | None, rasters: Mapping[str, Raster], hosts: Sequence[str]) -> FastAPI:
    """The application.

    Args:
        page: HTML of its one page.
        basemap: Address of base tiles that the page may ask for.
        rasters: What is served, by name.
        hosts: Names by which it may be called; a page of another site cannot pretend to be one of them.
    """
    app = FastAPI(title="geocomiss", docs_url=None, redoc_url=None, openapi_url=None)
    headers = {"Content-Security-Policy": _policy(basemap), "Cache-Control": "no-cache"}

    @app.get("/")
    def show() -> HTMLResponse:
        return HTMLResponse(page, headers=headers)

    app.include_router(
        _tiles(rasters).router, prefix="/layers/{layer}", dependencies=[Depends(_nothing_else)]
    )
    add_exception_handlers(app, DEFAULT_STATUS_CODES | {PointOutsideBounds: EMPTY, TileOutsideBounds: EMPTY})
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))
    return app


def _tiles(rasters: Mapping[str, Raster]) -> _Tiles:
    """TiTiler for rasters of a map; what would otherwise be asked for in addresses is decided here."""

    def named(layer: Annotated[str, Part()]) -> Raster:
        if layer not in rasters:
            raise HTTPException(404, "no such layer")
        return rasters[layer]

    def path(raster: Annotated[Raster, Depends(named)]) -> str:
        return str(raster.path)

    def reading(raster: Annotated[Raster, Depends(named)]) -> _Reading:
        # without the palette: the page colours, so that classes can be hidden
        return _Reading({"nodata": raster.nodata}, {})

    def drawing(raster: Annotated[Raster, Depends(named)]) -> _Drawing:
        return _Drawing(None if raster.step is None else [(0, FULL * raster.step)])

    return _Tiles(
        path_dependency=path,
        reader_dependency=reading,  # type: ignore[arg-type]  # declared as a class; any dependency does
        render_dependency=drawing,  # type: ignore[arg-type]  # likewise
        layer_dependency=BidxParams,
        dataset_dependency=DefaultDependency,
        tile_dependency=DefaultDependency,
        process_dependency=_none,
        colormap_dependency=_none,
        supported_tms=morecantile.defaults.TileMatrixSets({GRID: morecantile.tms.get(GRID)}),
    )


def _none() -> None:
    """Nothing to choose."""


def _nothing_else(request: Request) -> None:
    """Refuse what an address asks for beyond bands: tiles of any size, say."""
    if unknown := sorted(set(request.query_params) - ASKED):
        raise HTTPException(400, f"{', '.join(unknown)} cannot be asked for")


def _policy(basemap: str | None) -> str:
    """What the page may load: what it holds, this server's tiles, and base tiles where they are wanted."""
    site = urlsplit(basemap) if basemap else None
    tiles = f" {site.scheme}:" if site else ""
    return (
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
        f"img-src data: blob:{tiles}; connect-src 'self'"
    )
