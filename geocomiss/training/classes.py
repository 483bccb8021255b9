"""The classes of a new model: their order, values and colours."""

import colorsys
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import count
from typing import Final

from geocomiss.checkpoint import ClassInfo
from geocomiss.maps.layers import OTHER_COLORS
from geocomiss.maps.vision import distance
from geocomiss.samples import Legend, Samples

FAMILIAR: Final = (
    (("non_crop", "no_crop", "non-crop", "not_crop", "no_cropland"), "#c8c8c8"),
    (("maize", "corn"), "#ffd400"),
    (("soy",), "#267300"),
    (("spring_wheat",), "#d9b56c"),
    (("winter_cereal", "winter_wheat", "wheat"), "#a87000"),
    (("barley", "oats"), "#e2007f"),
    (("rice",), "#00a9e6"),
    (("rye", "cereal"), "#d69dbc"),
    (("rape", "canola", "oilseed"), "#d1ff00"),
    (("sunflower",), "#ffff00"),
    (("potato", "root_tuber"), "#732600"),
    (("beet", "sugar"), "#a900e6"),
    (("cotton", "fibre"), "#ff2626"),
    (("alfalfa", "clover"), "#ffa8e3"),
    (("legum", "bean", "pulse", "pea"), "#56aa56"),
    (("vegetable", "melon"), "#ff6666"),
    (("fruit", "orchard", "apple", "nuts"), "#e68000"),
    (("grape", "vine", "beverage"), "#704489"),
    (("grass", "pasture", "meadow"), "#a5d96a"),
    (("shrub",), "#c7d79e"),
    (("forest", "tree", "wood"), "#1b6b32"),
    (("water",), "#4d70a3"),
    (("wetland",), "#7fb2b2"),
    (("built", "urban"), "#9c9c9c"),
    (("bare", "fallow"), "#bfbf7a"),
    (("other",), "#8f7f9f"),
)
"""Colours that agronomists know, by parts of a name; the first that fits is taken."""

GOLDEN: Final = 0.618033988749895
"""Turns of hue between generated colours: any number of them stays well spread."""
NEAR: Final = 0.18
"""RGB distance below which two colours are taken for the same on a map."""
NEAR_TO_SOME: Final = 0.11
"""The same for people of other colour vision: the eight colours of Okabe and Ito are 0.117 apart."""
MANY: Final = 200
"""Generated colours that are tried for all eyes, before colours apart to most people must do."""


def classes_of(samples: Samples, legend: Legend | None) -> tuple[ClassInfo, ...]:
    """The classes that occur: in the legend's order, else alphabetical; none where there is a target."""
    if samples.target is not None:
        return ()
    present = set(samples.labels.tolist())
    names = [name for name in legend.order if name in present] if legend else sorted(present)
    colors = distinct_colors(names, dict(legend.colors) if legend else {})
    return tuple(
        ClassInfo(value=place + 1, name=name, color=color)
        for place, (name, color) in enumerate(zip(names, colors, strict=True))
    )


def distinct_colors(names: Sequence[str], given: dict[str, str]) -> list[str]:
    """A colour '#rrggbb' per class: the given one, else one that people of all colour vision can tell.

    That is a familiar one, where it is far enough from those before it to all eyes, else one of a palette
    made for this, else a generated one; with more than about a dozen classes the last are apart to most.
    """
    chosen = dict(given)
    for name in names:
        familiar = _familiar(name)
        if name not in chosen and familiar and _apart(familiar, chosen.values()):
            chosen[name] = familiar
    for name in names:
        if name not in chosen:
            chosen[name] = next(color for color in _candidates(chosen.values()))
    return [chosen[name] for name in names]


def _candidates(taken: Collection[str]) -> Iterator[str]:
    """Colours that may be told from those taken, the best first; never ends."""
    yield from (color for color in OTHER_COLORS if _apart(color, taken))
    yield from (color for color in map(_generated, range(MANY)) if _apart(color, taken))
    yield from (color for color in map(_generated, range(MANY)) if _apart(color, taken, some=0.0))
    # with very many classes no colour is far from all others: take what comes
    yield from (color for color in map(_generated, count(MANY)) if color not in taken)


def _familiar(name: str) -> str | None:
    plain = name.lower().replace(" ", "_")
    return next((color for parts, color in FAMILIAR if any(part in plain for part in parts)), None)


def _generated(turn: int) -> str:
    rings = turn // 24  # after each 24 hues, another brightness and saturation
    saturation, value = 0.85 - 0.25 * (rings % 3), 0.9 - 0.2 * (rings // 3 % 3)
    rgb = colorsys.hsv_to_rgb(turn * GOLDEN % 1, saturation, value)
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)


def _apart(color: str, others: Iterable[str], some: float = NEAR_TO_SOME) -> bool:
    distances = (distance(color, other) for other in others)
    return all(most > NEAR and fewest > some for most, fewest in distances)
