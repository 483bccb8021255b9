"""A map as it was decided on before its first pixel is computed, and all that decides a pixel."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from odc.geo import Geometry
from odc.geo.geobox import GeoBox

from geocomiss import __version__
from geocomiss.applicability import Applicability
from geocomiss.batch import Spec
from geocomiss.calibration import Readout
from geocomiss.checkpoint import Card, Checkpoint
from geocomiss.covering import Covering
from geocomiss.engine import ARITHMETIC, Precision, prepared
from geocomiss.engine.layers import fuses, fuses_on_gpu
from geocomiss.engine.precision import FAST_BFLOAT16
from geocomiss.grid import Tile, crs_of, crs_text, tile_at, tiles_of
from geocomiss.mapping.checks import device_of
from geocomiss.mapping.illustrate import OPTICAL, can_illustrate, every_of
from geocomiss.mapping.mask import Mask
from geocomiss.mapping.memory import Memory
from geocomiss.mapping.request import MapRequest
from geocomiss.maps import (
    APPLICABILITY,
    EXPECTED_ACCURACY,
    PROBABILITIES,
    Category,
    Layer,
    applicability,
    expected_accuracy,
    map_layers,
    ndvi_curve,
    probabilities,
    true_color,
)
from geocomiss.methods import Method
from geocomiss.seasons import Calendar
from geocomiss.sources.base import Accounting, Source
from geocomiss.sources.resolve import files_state
from geocomiss.stack import bands_of
from geocomiss.wording import without_secrets

BASIC: Final = ("crop_type", "confidence", "modalities", EXPECTED_ACCURACY)
"""Layers that every tile has."""
COUNTED: Final = 200
"""Tiles at most whose pixels are counted before a map begins: what 4 ms a tile, 40 with a mask, allow."""
PICTURE: Final = 1000
"""Most pixels a side of the true-colour picture."""
CURVES: Final = 384
"""Most pixels a side at which vegetation curves are kept."""


@dataclass(frozen=True)
class Plan:
    """A map, decided."""

    request: MapRequest
    """What was asked."""
    checkpoint: Checkpoint
    """The model."""
    spec: Spec
    """What it reads, with the user's `--min-steps`."""
    source: Source
    """Where the stack comes from."""
    stack: xr.DataTree
    """The lazy stack on `grid`, without the modalities that are left out."""
    grid: GeoBox
    """The pixel grid of the map."""
    area: Geometry | None
    """The area of interest; None: the whole grid."""
    mask: Mask | None
    """Where a map is wanted, if not everywhere."""
    calendar: Calendar
    """The season."""
    classes: tuple[Category, ...]
    """The classes as the map calls them: the model's, or as the user's legend has it."""
    notes: tuple[str, ...] = ()
    """What was done on the user's behalf."""
    warnings: tuple[str, ...] = ()
    """What the user should worry about."""
    readout: Readout = field(default_factory=Readout)
    """How logits become classes and probabilities."""
    precision: Precision = "float32"
    """Numbers that encoders are computed with."""
    memory: Memory | None = None
    """What a process that computes takes, where memory is limited."""
    dissolved: dict[str, Any] | None = None
    """What the minimum mapping unit changed, once that is known."""

    @cached_property
    def method(self) -> Method:
        """The network that predicts."""
        return prepared(self.checkpoint.method, self.precision)

    def layers(self, patterns: tuple[int, ...] = ()) -> tuple[Layer, ...]:
        """All rasters of the map.

        Args:
            patterns: Values of the modalities that occur; none: all.
        """
        optical = bands_of(self.stack).get(OPTICAL, ())
        steps = tuple(str(day) for day in self.calendar.edges()[:-1])
        shown = (true_color(every_of(self.grid, PICTURE)), ndvi_curve(every_of(self.grid, CURVES), steps))
        asked = [applicability()] if self.request.applicability else []
        asked += [probabilities(self.classes)] if self.request.probabilities else []
        possible = (each for each in shown if can_illustrate(each, optical))
        sure = "calibrated" if self.readout.calibration else "uncalibrated"
        expected = (expected_accuracy(),) if self.knows_accuracy else ()
        return (*map_layers(self.classes, patterns, sure, self._cleaned), *expected, *asked, *possible)

    @property
    def _cleaned(self) -> str:
        """What was done to the classes after they were chosen, in words; empty where nothing was."""
        unit = self.request.mapping_unit
        return f"patches below {unit:g} ha took the class of their largest neighbour" if unit else ""

    @cached_property
    def further(self) -> tuple[Layer, ...]:
        """What tiles hold beyond class, confidence and modalities."""
        further = {layer.name: layer for layer in self.layers() if layer.name not in BASIC}
        if self.applicability:
            further[APPLICABILITY] = applicability()
        if self.request.needs_probabilities:
            further[PROBABILITIES] = probabilities(self.classes)
        return tuple(further.values())

    @property
    def applicability(self) -> Applicability | None:
        """The area of applicability, where it is asked for or narrows the expected accuracy down."""
        asked = self.request.applicability or self.knows_accuracy
        return self.checkpoint.applicability if asked else None

    @property
    def worries(self) -> tuple[str, ...]:
        """What its source had trouble with, up to now."""
        return self.source.account()[1] if isinstance(self.source, Accounting) else ()

    @property
    def knows_accuracy(self) -> bool:
        """Whether it is known how often classes are right: smoothing changes which class is written."""
        return self.readout.knows_accuracy and not self.request.smooth

    @property
    def simulated_model(self) -> bool:
        """Whether a model of the simulated world meets real data."""
        return self.checkpoint.card.simulated and not self.source.simulated

    def tiles(self) -> Iterator[Tile]:
        """The tiles that meet the area; no other is looked at."""
        size = self.request.tile
        if self._numbers is None:
            return tiles_of(self.grid, size)
        return (tile_at(self.grid, size, int(number)) for number in self._numbers)

    @cached_property
    def _numbers(self) -> NDArray[np.int64] | None:
        """Which tiles meet the area, as in `Covering.numbers`; None: all."""
        return self.covering.numbers(self.request.tile) if self.covering else None

    def tile(self, name: str) -> Tile:
        """The tile of a name (see `Tile.name`)."""
        row, col = map(int, name.split("_"))
        across = -(-self.grid.width // self.request.tile)
        return tile_at(self.grid, self.request.tile, row * across + col)

    @cached_property
    def covering(self) -> Covering | None:
        """The area of interest on the grid; None: the whole grid."""
        return Covering(self.area, self.grid) if self.area else None

    def within_area(self, tile: Tile) -> NDArray[np.bool_]:
        """Which pixels of a tile lie in the area of interest: (H, W)."""
        if self.covering is None:
            return np.ones(tile.geobox.shape, bool)
        return self.covering.inside(tile.geobox)

    def wanted(self, tile: Tile) -> NDArray[np.bool_]:
        """Which pixels of a tile are to be mapped, in the area and the mask: (H, W)."""
        area = self.within_area(tile)
        return area & self.mask.read(tile.geobox, self.grid) if self.mask and area.any() else area

    def expected_pixels(self, tiles: Sequence[Tile]) -> int:
        """How many pixels of tiles are to be mapped; of many tiles by some of them, all over the map."""
        chosen = np.unique(np.linspace(0, len(tiles) - 1, COUNTED).astype(np.int64)) if tiles else ()
        counted = sum(self._pixels(tiles[number]) for number in chosen)
        return round(counted * len(tiles) / max(1, len(chosen)))

    def _pixels(self, tile: Tile) -> int:
        """How many pixels of a tile are to be mapped; where the mask is damaged, all of the area."""
        area = self.within_area(tile)
        if self.mask and area.any():
            area &= self.mask.read_or_all(tile.geobox, self.grid)
        return int(area.sum())

    def arithmetic(self) -> dict[str, str]:
        """What the last bits of a result depend on here; empty where that cannot be told."""
        known = {"engine": str(ARITHMETIC), "torch": str(torch.__version__)}
        known |= {"device": device_of(self.request).type}
        if known["device"] == "cpu":
            able: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
            sets = (torch.backends.cpu.get_cpu_capability(), *filter(able.get, FAST_BFLOAT16))
            return known | {"layers": _layers(fuses, self.precision), "processor": " ".join(sets)}
        if not torch.cuda.is_available():  # only workers have one
            return known | {"layers": "", "processor": ""}
        return known | {
            "layers": _layers(fuses_on_gpu, self.precision),
            "processor": torch.cuda.get_device_name(),
        }

    @cached_property
    def _files(self) -> dict[str, list[int]]:
        """The files of source, weather and mask as they were when the map was planned: looked at once."""
        paths = {"source": self.request.source, "weather": self.request.weather}
        paths |= {"mask": str(self.mask.path)} if self.mask else {}
        return {name: files_state(Path(path)) for name, path in paths.items() if path}

    def fingerprint(self) -> dict[str, Any]:
        """Everything that decides a pixel: tiles of another fingerprint are of another map."""
        return {
            "area": hashlib.sha256(self.area.geom.wkb).hexdigest()[:16] if self.area else None,
            "grid": f"{self.grid.width} x {self.grid.height} pixels, {crs_text(crs_of(self.grid))}, "
            f"{list(self.grid.affine)[:6]}",
            "season": str(self.calendar),
            "source": [
                without_secrets(self.request.source),
                self.request.seed,
                *self._files["source"],
            ],
            "found": self.source.state if isinstance(self.source, Accounting) else None,
            "weather": [self.request.weather, *self._files["weather"]] if self.request.weather else None,
            "bands": {name: list(bands) for name, bands in bands_of(self.stack).items()},
            "cloud_dilation": self.source.recipe.cloud_dilation,
            "min_steps": dict(self.spec.min_steps),
            "model": self.checkpoint.card.model_sha256,
            "readout": self.readout.digest,
            "precision": self.precision,
            "mask": [str(self.mask.path), *self.mask.values, *self._files["mask"]] if self.mask else None,
            "require": list(self.request.require),
            "tile": self.request.tile,
            "smooth": self.request.smooth,
            "minimum_mapping_unit": self.request.mapping_unit,
            # which layers there are follows from these and the above, and so does what is in them
            "probabilities": self.request.probabilities,
            "applicability": self.request.applicability,
            "legend": [each.name for each in self.classes]
            if self.request.probabilities and self.request.legend
            else None,
            "geocomiss": __version__,
            "arithmetic": self.arithmetic(),
        }


def _layers(fused: Callable[[torch.dtype], bool], precision: Precision) -> str:
    return "fused" if fused(getattr(torch, precision)) else "in two steps"


def classes_of(card: Card) -> tuple[Category, ...]:
    """The classes as the model calls them."""
    return tuple(Category(each.value, each.name, each.color) for each in card.classes)
