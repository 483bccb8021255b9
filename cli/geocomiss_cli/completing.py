"""Values that a shell completes, from tables that need no torch: completing must not be felt."""

from collections.abc import Callable
from typing import Final

from geocomiss.modalities import MODALITIES
from geocomiss.recipes import RECIPES

METHODS: Final = (
    "unimodal", "fcom-av", "timmil", "dsensd", "dsensd+", "mdico", "fullco", "comiss", "comiss+",
    "galileo", "anysat",
)  # fmt: skip
"""Keys of the table of methods, which is among networks; a test holds the two together."""
BASELINES: Final = ("random-forest", "lightgbm", "embeddings")
PRESETS: Final = ("full", "small", "compact")
SOURCES: Final = ("simulated", "ee", "planetary-computer", "earth-search")
CATALOGUES: Final = ("planetary-computer", "earth-search")
SHIPPED: Final = ("simulated",)
DEVICES: Final = ("auto", "cpu", "cuda")

Complete = Callable[[str], list[str]]
"""What begins as was typed."""


def one_of(*names: str) -> Complete:
    """Completes a name of these."""

    def complete(incomplete: str) -> list[str]:
        return [name for name in names if name.startswith(incomplete)]

    return complete


def some_of(*names: str) -> Complete:
    """Completes the last of names joined by commas, with one that is not among them yet."""

    def complete(incomplete: str) -> list[str]:
        before, comma, last = incomplete.rpartition(",")
        taken = before.split(",")
        return [f"{before}{comma}{name}" for name in names if name.startswith(last) and name not in taken]

    return complete


methods: Final = one_of(*METHODS)
contenders: Final = some_of("all", *METHODS, *BASELINES)
sources: Final = one_of(*SOURCES)
catalogues: Final = one_of(*CATALOGUES)
recipes: Final = one_of(*RECIPES)
presets: Final = one_of(*PRESETS)
modalities: Final = some_of(*MODALITIES)
shipped: Final = one_of(*SHIPPED)
devices: Final = one_of(*DEVICES)
