"""A whole map folder, made once and quickly, and class names that try what files can hold."""

from pathlib import Path

from gappy import gappy_groups, store, untrained

from geocomiss.card import ClassInfo
from geocomiss.mapping import MapRequest, make_map

LONG = "winter wheat after maize " * 8
NASTY = (
    'Blé d\'hiver "tendre", 50 % & <b>more</b>',
    "<script>alert('crop')</script>",
    "小麦 قمح пшеница",
    LONG.strip(),
)
"""Quotes, a comma, markup, a script, three scripts of the other kind, and 200 characters."""
COLORS = ("#ffd300", "#a57000", "#267300", "#808080")


def packaged(folder: Path, names: tuple[str, ...] = ("maize", "wheat", "non_crop")) -> Path:
    """Make a map of classes with these names; returns its folder."""
    own = tuple(
        ClassInfo(value=number, name=name, color=color)
        for number, (name, color) in enumerate(zip(names, COLORS, strict=False), 1)
    )
    model = untrained(folder, classes=own)
    stack = store(folder, gappy_groups())
    make_map(MapRequest(str(stack), folder / "map", model=str(model), probabilities=True))
    return folder / "map"
