"""The workflow of `geocomiss view`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from geocomiss.errors import MapError, unwritable
from geocomiss.viewing.opened import open_map_to_view
from geocomiss.viewing.preview import write_preview
from geocomiss.viewing.report import SIDE, write_report

PREVIEW: Final = "preview.png"
"""The picture."""
REPORT: Final = "report.html"
"""The page."""


@dataclass(frozen=True)
class ViewRequest:
    """The arguments of `geocomiss view`."""

    path: Path
    """Folder of a map, or a GeoTIFF of classes."""
    out: Path | None = None
    """Folder for picture and page; None: beside the map."""
    legend: Path | None = None
    """CSV with other names and colours of the classes."""
    title: str | None = None
    """What the map is called; None: after its season."""
    low: float = 0.5
    """Confidence (0..1) below which the picture is hatched."""
    basemap: str | None = None
    """Address of base tiles for the page; None: it uses no network."""
    side: int = SIDE
    """Most pixels a side of the sharpest picture in the page."""


@dataclass(frozen=True)
class ViewReport:
    """What was written."""

    files: tuple[Path, ...]
    """Picture and page."""
    missing: tuple[str, ...]
    """What could not be shown, and why."""


def view_map(request: ViewRequest) -> ViewReport:
    """Write `preview.png` and `report.html` of a map. Files of these names are replaced.

    Raises:
        MapError: There is nothing to show, or it cannot be written.
    """
    check_basemap(request.basemap)
    opened = open_map_to_view(request.path, request.legend, request.title)
    out = request.out or opened.folder
    try:
        out.mkdir(parents=True, exist_ok=True)
        lost: list[str] = []
        _replace(out / PREVIEW, lambda path: lost.extend(write_preview(path, opened, request.low)))
        _replace(
            out / REPORT,
            lambda path: lost.extend(write_report(path, opened, request.basemap, request.side)),
        )
    except OSError as error:
        raise unwritable(out, error) from error
    return ViewReport((out / PREVIEW, out / REPORT), (*opened.missing, *lost))


def check_basemap(address: str | None) -> None:
    """Refuse an address of base tiles that is none.

    Raises:
        MapError: It lacks {z}, {x} or {y}, or is no web address.
    """
    if address is None:
        return
    if not address.startswith(("http://", "https://")) or any(f"{{{axis}}}" not in address for axis in "zxy"):
        raise MapError(
            f"the base tiles {address!r}",
            expected="an address with {z}, {x} and {y}",
            todo="correct --basemap",
        )


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    """Write a file that appears under its name only when it is whole."""
    partial = path.with_name(f".{path.name}.partial{path.suffix}")
    try:
        write(partial)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
