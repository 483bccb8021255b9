"""Styles for QGIS: a `.qml` file with the stem of its raster, which QGIS finds by itself."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from geocomiss.maps.cog import Statistics
from geocomiss.maps.layers import Layer
from geocomiss.maps.text import printable

QML_SUFFIX: Final = ".qml"
"""Of a style."""


def write_style(path: Path, layer: Layer, statistics: Statistics) -> None:
    """Write how QGIS (3.22 and newer) draws a layer.

    Args:
        path: `*.qml`, with the stem of the raster.
        layer: The layer.
        statistics: Of its first band, the one that is drawn.
    """
    root = ET.Element("qgis", version="3.22", styleCategories="AllStyleCategories")
    pipe = ET.SubElement(root, "pipe")
    {"classes": _paletted, "ramp": _ramp, "rgb": _rgb}[layer.look](pipe, layer, statistics)
    ET.indent(root)
    head = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    path.write_text(head + ET.tostring(root, encoding="unicode"), encoding="utf-8")


def _paletted(pipe: ET.Element, layer: Layer, _: Statistics) -> None:
    """Classes: only they are in the legend, not the empty entries of a palette."""
    renderer = _renderer(pipe, "paletted", band="1")
    palette = ET.SubElement(renderer, "colorPalette")
    for each in layer.categories:
        ET.SubElement(
            palette,
            "paletteEntry",
            value=str(each.value),
            color=each.color,
            alpha="255",
            label=printable(each.name),
        )


def _ramp(pipe: ET.Element, layer: Layer, statistics: Statistics) -> None:
    """A quantity, colours linear between the stops of its ramp."""
    stops = list(ramp_stops(layer, statistics))
    low, high = f"{stops[0][0]:.9g}", f"{stops[-1][0]:.9g}"
    renderer = _renderer(
        pipe, "singlebandpseudocolor", band="1", classificationMin=low, classificationMax=high
    )
    shader = ET.SubElement(ET.SubElement(renderer, "rastershader"), "colorrampshader")
    shader.attrib |= {
        "colorRampType": "INTERPOLATED",
        "classificationMode": "1",
        "clip": "0",
        "minimumValue": low,
        "maximumValue": high,
    }
    for value, color in stops:
        text = f"{value:.4g}"
        ET.SubElement(shader, "item", value=f"{value:.9g}", color=color, alpha="255", label=text)


def _rgb(pipe: ET.Element, layer: Layer, _: Statistics) -> None:
    """Red, green and blue as they are, without a stretch."""
    _renderer(pipe, "multibandcolor", redBand="1", greenBand="2", blueBand="3")


def _renderer(pipe: ET.Element, kind: str, **attributes: str) -> ET.Element:
    return ET.SubElement(
        pipe, "rasterrenderer", {"type": kind, "opacity": "1", "alphaBand": "-1", **attributes}
    )


def ramp_stops(layer: Layer, statistics: Statistics) -> Iterator[tuple[float, str]]:
    """True values and colours of a layer's ramp, from low to high."""
    low, high = ramp_span(layer, statistics)
    for number, color in enumerate(layer.ramp):
        yield low + (high - low) * number / (len(layer.ramp) - 1), color


def ramp_span(layer: Layer, statistics: Statistics) -> tuple[float, float]:
    """True values at the ends of a layer's ramp, never the same."""
    if layer.span:
        return layer.span
    low, high = statistics.minimum or 0.0, statistics.maximum or 0.0
    return low, high if high > low else low + 1.0
