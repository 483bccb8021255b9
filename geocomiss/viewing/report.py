"""`report.html`: a map in one file that opens in any browser, without a network.

The page is a template with its style and script (`page/`), the map library Leaflet as its package
ships it, and the map as JSON and pictures. Whatever people wrote (names, warnings) travels as JSON
and is shown as text, never as markup.
"""

import html
import json
from importlib.metadata import PackageNotFoundError, files
from importlib.resources import files as resources
from pathlib import Path
from typing import Any, Final

from rasterio.errors import RasterioError

from geocomiss.errors import MapError
from geocomiss.maps import AREA_NOTE
from geocomiss.maps.layers import Layer, other_color
from geocomiss.viewing.frames import COARSER, Frame, Picture, frame_of, picture_of
from geocomiss.viewing.opened import OpenedMap

LEAFLET: Final = "XStatic-Leaflet"
"""The package that ships the map library."""
BUDGET: Final = 4_600_000
"""Bytes of all pictures together: with the library, a page stays below 5 MB."""
SIDE: Final = 2000
"""Most pixels a side of the sharpest picture."""
SHARES: Final = {"crop_type": 1.0, "modalities": 1.0}
"""Most pixels of a picture relative to the sharpest; the others have half."""
SHRINK: Final = (1.0, 0.7, 0.5, 0.35, 0.25, 0.15)
"""What is tried until the pictures fit: those of classes become coarser last."""


def write_report(path: Path, opened: OpenedMap, basemap: str | None = None, side: int = SIDE) -> list[str]:
    """Write the page of a map.

    Args:
        path: `*.html`; replaced where it exists.
        opened: The map.
        basemap: Address of base tiles, with {z}, {x} and {y}; None: no base tiles, no network.
        side: Most pixels a side of the sharpest picture.

    Returns:
        What could not be shown, beyond what the map already says.

    Raises:
        MapError: The map library is not installed, or nothing can be read.
    """
    frame = frame_of(opened.grid, side)
    pictures, lost = _pictures(opened, frame, side)
    layers = [
        layer_content(layer, picture.scale) | {"url": picture.url, "size": picture.size}
        for layer, picture in pictures
    ]
    content = page_content(opened, frame, layers, basemap) | {"missing": [*opened.missing, *lost]}
    path.write_text(fill_page(opened.title, content), encoding="utf-8")
    return lost


def _pictures(opened: OpenedMap, frame: Frame, side: int) -> tuple[list[tuple[Layer, Picture]], list[str]]:
    """All layers as pictures that fit together into a page."""
    found: list[tuple[Layer, Picture]] = []
    lost: list[str] = []
    for shrink in SHRINK:
        found, lost = [], []
        for path, layer in opened.layers:
            share = SHARES.get(layer.name, 0.5) * (1.0 if layer.name == "crop_type" else shrink)
            if shrink < SHRINK[3]:
                share = min(share, shrink * 2)
            try:
                picture, coarse = _picture(path, layer, frame, round(side * share))
            except RasterioError as error:
                lost.append(f"{path.name}: cannot be read ({str(error).splitlines()[0]})")
                continue
            found.append((layer, picture))
            if coarse:
                lost.append(f"{path.name}: its sharp pixels; coarser ones are shown")
        if sum(picture.bytes for _, picture in found) <= BUDGET:
            break
    if not found:
        raise MapError("no layer that can be read", expected="a whole map", todo="make the map again")
    return found, lost


def _picture(path: Path, layer: Layer, frame: Frame, side: int) -> tuple[Picture, bool]:
    """A layer as a picture, and whether it is coarser than asked for because its raster is damaged.

    Raises:
        rasterio.errors.RasterioError: Nothing of it can be read.
    """
    for damaged in COARSER[:-1]:
        try:
            wanted = side if damaged == 1 else min(side, max(frame.size)) // damaged
            return picture_of(path, layer, frame, wanted), damaged > 1
        except RasterioError:
            continue
    return picture_of(path, layer, frame, min(side, max(frame.size)) // COARSER[-1]), True


def page_content(
    opened: OpenedMap, frame: Frame, layers: list[dict[str, Any]], basemap: str | None
) -> dict[str, Any]:
    """What the page's script reads.

    Args:
        opened: The map.
        frame: Where it lies.
        layers: See `layer_content`, each with its values, or where to ask for them.
        basemap: Address of base tiles; None: none.
    """
    summary = opened.summary
    return {
        "title": opened.title,
        "label": opened.label,
        "bounds": frame.bounds,
        "size": frame.size,
        "layers": layers,
        "areas": [
            {"value": each.value, "name": each.name, "color": each.color, "pixels": pixels, "ha": hectares}
            for each, pixels, hectares in opened.areas
        ],
        "areaNote": AREA_NOTE,
        "observations": _part(summary, "observations"),
        "facts": _facts(opened),
        "warnings": [str(each) for each in summary.get("warnings") or ()],
        "notes": [str(each) for each in summary.get("notes") or ()],
        "missing": list(opened.missing),
        "basemap": basemap,
        "distinct": [other_color(number) for number in range(len(opened.areas))],
    }


def layer_content(layer: Layer, scale: float) -> dict[str, Any]:
    """What the page's script knows of a layer.

    Args:
        layer: The layer.
        scale: Factor from the bytes that the page colours to true values.
    """
    return {
        "name": layer.name,
        "title": layer.title or layer.name,
        "look": layer.look,
        "bands": layer.band_names,
        "scale": scale,
        "offset": layer.offset,
        "percent": layer.span == (0.0, 1.0),
        "span": layer.span,
        "ramp": layer.ramp,
        "classes": [
            {"value": each.value, "name": each.name, "color": each.color} for each in layer.categories
        ],
    }


def _facts(opened: OpenedMap) -> list[tuple[str, str]]:
    """Run facts that a reader asks for, those that are known."""
    summary = opened.summary
    model, source, season = (_part(summary, key) for key in ("model", "source", "season"))
    grid = opened.grid
    nodata = _part(summary, "nodata")
    said = {
        "Season": f"{season.get('start')} to {season.get('end')}" if season.get("start") else "",
        "Source": source.get("name"),
        "Preprocessing": _part(source, "recipe").get("name"),
        "Model": model.get("method"),
        "Trained on": model.get("trained_on"),
        "Model digest": str(model.get("sha256", ""))[:16],
        "Left out": ", ".join(summary.get("without") or ()),
        "A class needs": " or ".join(summary.get("require") or ()),
        "Smallest patch": _unit(_part(summary, "minimum_mapping_unit")),
        "Without a class": ", ".join(
            f"{key.replace('_', ' ')} {each:,} px" for key, each in nodata.items() if isinstance(each, int)
        ),
        "Grid": f"{grid.width:,} × {grid.height:,} px of {abs(grid.affine.a):.6g}, {_crs(grid.crs)}",
        "Made with": f"geocomiss {_part(summary, 'versions').get('geocomiss', '')}" if summary else "",
    }
    return [(key, str(value)) for key, value in said.items() if value]


def _unit(said: dict[str, Any]) -> str:
    """The minimum mapping unit and what it changed, as far as it is stated."""
    hectares, changed = said.get("hectares"), said.get("changed_ha")
    if not isinstance(hectares, (int, float)) or not isinstance(changed, (int, float)):
        return ""
    return f"{hectares:g} ha; {changed:,.1f} ha of smaller ones took their neighbour's class"


def _crs(crs: Any) -> str:
    return f"EPSG:{crs.epsg}" if crs.epsg else "a CRS without code"


def _part(summary: dict[str, Any], key: str) -> dict[str, Any]:
    part = summary.get(key)
    return part if isinstance(part, dict) else {}


def fill_page(title: str, content: dict[str, Any]) -> str:
    """The template with everything in its place.

    Args:
        title: Of the page.
        content: See `page_content`.
    """
    page = resources("geocomiss.viewing") / "page"
    script, style = _leaflet("leaflet.js"), _leaflet("leaflet.css")
    parts = {
        "TITLE": html.escape(title),
        "LEAFLET_CSS": _without_images(style),
        "CSS": (page / "report.css").read_text(encoding="utf-8"),
        "LEAFLET_JS": script.rsplit("//# sourceMappingURL", 1)[0],
        "JS": (page / "report.js").read_text(encoding="utf-8"),
        "CONTENT": _json_for_html(content),
    }
    text = (page / "report.html").read_text(encoding="utf-8")
    pieces = text.split("@@")  # odd pieces are names: nothing that was put in is looked at again
    return "".join(parts[piece] if number % 2 else piece for number, piece in enumerate(pieces))


def _json_for_html(content: dict[str, Any]) -> str:
    """JSON that no HTML parser takes for the end of its element."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _without_images(style: str) -> str:
    """Leaflet's style without the pictures of markers that we do not use: a page asks for no files."""
    lines = (line for line in style.splitlines() if "url(images/" not in line)
    return "\n".join(lines)


def _leaflet(name: str) -> str:
    """A file of the map library."""
    try:
        listed = files(LEAFLET) or []
    except PackageNotFoundError as error:
        raise MapError(
            "the map library Leaflet is not installed",
            expected=f"the package {LEAFLET}, which comes with geocomiss",
            todo=f"install it: pip install {LEAFLET}",
        ) from error
    for each in listed:
        if each.name == name:
            return Path(str(each.locate())).read_text(encoding="utf-8")
    raise MapError(
        f"{LEAFLET} without {name}",
        expected="a whole package",
        todo=f"pip install --force-reinstall {LEAFLET}",
    )
