"""How much memory mapping takes, and the tiles that a budget allows.

What a process takes is a part that does not depend on the tile, and bytes for each of its pixels. Both follow
from the model (bands, steps, classes, a trial of its network), with factors that were measured on a stored
stack; see `tests/benchmarks/test_map_memory.py`, which holds maps to them.
"""

import weakref
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from geocomiss.batch import Around, Batch, Spec, batch_of_values
from geocomiss.inference import predict
from geocomiss.maps.eye import COLORS
from geocomiss.methods import Method
from geocomiss.modalities import MODALITIES, NDVI
from geocomiss.sources.base import Scenes
from geocomiss.staging import PIXELS_AT_ONCE

AHEAD: Final = 1
"""Tiles that are read while another is computed."""
STRIP: Final = 2 * PIXELS_AT_ONCE
"""Pixels of a tile that are made batches at a time, by all threads together."""
FEWEST: Final = 4096
"""Those of one thread, where there are many: each batch encodes its few weather cells anew."""
PROCESS: Final = 550e6
"""Bytes of a process that has planned a map: Python, libraries, the graph of a large stack. 470 MB at 1,100
pixels a side."""
PLANNER: Final = 720e6
"""Bytes of one that has planned a map and puts together what workers computed: it has tried the network, too.
627 MB for 64 pixels a side of the simulated world, 703 for 1,000."""
CACHE: Final = 64
"""MB of GDAL's block cache: its default is 5 % of the machine's memory, for each process."""
BLOCKS: Final = 128e6
"""Bytes of the blocks that threads unpack at a time. What compositing takes is said by the source, as for
many cores: tiles must not depend on the machine, or a map could not go on elsewhere."""
CELLS: Final = 56.0
"""Bytes a pixel of a batch that say between which cells of a coarse grid it lies, and in which: five whole
numbers of 8 bytes and four shares of 4."""
COARSE: Final = "weather"
"""The modality that comes on cells of its own."""
READING: Final = 1.25
"""Bytes that reading a tile takes at most, in bytes of its stack: 1.19 were measured."""
JOINED: Final = 1.0
"""The same beside, where blocks are composited: they are joined when all of them are there."""
RESULT: Final = 260.0
"""Bytes a pixel that layers, areas and compression of a finished tile take at most: 155 + 80 were
measured."""
CLASS: Final = 16.0
"""Bytes a pixel and class of probabilities: float32, joined from strips, and their steps."""
WHOLE: Final = 6.0
"""Bytes for each pixel of a map whose small patches are dissolved: 5.5 were measured on fields of 100 pixels
with noise in them."""
SMOOTHED: Final = 80.0
"""Bytes a pixel and class while a map is smoothed, in float64. By then no stack is in memory."""
BATCH: Final = 8.0
"""Copies of its values that making a batch takes at most: filling gaps holds six at a time."""
SCRATCH: Final = 2.0
"""What a network takes, in bytes of the tensors that it shows: libraries take some for themselves."""
TRIED: Final = (512, 1024)
"""Pixels with which a network is tried: what it takes for chunks of rows, and what for each pixel."""
SIDES: Final[tuple[int, ...]] = (64, 128, *range(256, 2049, 256))
"""Tiles to choose from. The blocks of stored stacks (256) are cut by none from 256 on; beyond 2,048 nothing
is gained, and an interruption costs more."""


@dataclass(frozen=True)
class Memory:
    """What a process that computes tiles takes."""

    process: float
    """Bytes, whatever the tile."""
    pixel: float
    """Bytes for each pixel of a tile."""
    stored: float = 0.0
    """Those of them for what tiles hold once they are computed."""
    scenes: Scenes | None = None
    """What compositing takes beside, where the source does so."""

    def taken(self, side: int) -> float:
        """Bytes with tiles of `side` pixels a side."""
        composited = self.scenes.taken(side) if self.scenes else 0.0
        return self.process + self.pixel * side * side + composited

    def whole(self, pixels: int, side: int) -> float:
        """Bytes while the classes of a whole map are looked at: by then no stack is in memory.

        Args:
            pixels: Of the map.
            side: Pixels a side of the tiles.
        """
        return self.process + self.stored * side * side + WHOLE * pixels

    @property
    def least(self) -> float:
        """Bytes with the smallest tiles."""
        return self.taken(SIDES[0])

    def side(self, budget: float) -> int:
        """The largest tile that a budget allows, in pixels a side; 0: it allows none.

        Args:
            budget: Bytes for the process.
        """
        return max((side for side in SIDES if self.taken(side) <= budget), default=0)


def memory_of(method: Method, spec: Spec, probabilities: bool, smooth: bool, ahead: int) -> Memory:
    """What mapping with a model takes.

    Args:
        method: The network.
        spec: What it reads.
        probabilities: Whether those of all classes are kept.
        smooth: Whether the map is smoothed.
        ahead: Tiles that are read while another is computed.
    """
    values = sum(bytes_of_series(spec).values())
    stored = RESULT + (CLASS * spec.classes if probabilities or smooth else 0.0)
    mapped = READING * values * (1 + ahead) + stored
    smoothed = SMOOTHED * spec.classes if smooth else 0.0
    network = SCRATCH * tensors_of(method, spec, STRIP)
    cells = CELLS if COARSE in spec.bands else 0.0
    fixed = PROCESS + CACHE * 1e6 + BLOCKS + (BATCH * values + cells) * STRIP + network
    return Memory(fixed, max(mapped, smoothed), stored)


def composited(memory: Memory, spec: Spec, scenes: Scenes) -> Memory:
    """What mapping takes where the stack is composited.

    Args:
        memory: What it takes from a stack that is there.
        spec: What the model reads.
        scenes: What compositing takes.
    """
    return replace(memory, pixel=memory.pixel + JOINED * sum(bytes_of_series(spec).values()), scenes=scenes)


def bytes_of_series(spec: Spec) -> dict[str, int]:
    """Bytes a pixel of what is read, by modality; weather lies on cells of its own, far larger ones."""
    found = {}
    for name, bands in bands_read(spec).items():
        steps = spec.steps if MODALITIES[name].dynamic else 1
        if name != COARSE:
            found[name] = steps * (4 * len(bands) + 2 * MODALITIES[name].dynamic)
    return found


def bands_read(spec: Spec) -> dict[str, tuple[str, ...]]:
    """Bands that a map reads, by modality: the model's, and what pictures and counts of observations need."""
    wanted = {name: set(bands) for name, bands in spec.bands.items()}
    wanted["optical"] = wanted.get("optical", set()) | {*COLORS, NDVI}
    wanted["radar"] = wanted.get("radar") or {MODALITIES["radar"].band_names[0]}
    return {
        name: tuple(band for band in each.band_names if band in wanted[name])
        for name, each in MODALITIES.items()
        if name in wanted
    }


def tensors_of(method: Method, spec: Spec, pixels: int) -> float:
    """Most bytes of tensors that are alive at a time while a network classifies so many pixels at once."""
    return max(_taken_with(method, spec, pixels, cells) for cells in {False, COARSE in spec.bands})


def _taken_with(method: Method, spec: Spec, pixels: int, cells: bool) -> float:
    few, many = (_tried(method, spec, number, cells) for number in TRIED)
    each = max(0.0, (many - few) / (TRIED[1] - TRIED[0]))
    return few + each * (pixels - TRIED[0])


def _tried(method: Method, spec: Spec, number: int, cells: bool) -> int:
    """Most bytes of tensors for `number` pixels that have everything, on the CPU.

    Args:
        method: The network.
        spec: What it reads.
        number: Pixels.
        cells: Whether the weather comes on cells between which pixels lie, else on pixels.
    """
    values: Mapping[str, Any] = {
        name: np.ones((4 if cells and name == COARSE else number, *spec.shape(name)), np.float32)
        for name in spec.modalities
    }
    index = {COARSE: np.zeros(number, np.int64)} if cells else {}
    batch = batch_of_values(
        values, spec, index, np.ones((number, len(values)), bool), np.ones(spec.steps, int)
    )
    with _Counted() as counted:
        predict(method, _between_cells(batch) if cells else batch)
    return int(counted.most)


def _between_cells(batch: Batch) -> Batch:
    """The same pixels, each in the middle between four cells."""
    rows, weights = torch.arange(4).expand(len(batch), 4), torch.full((len(batch), 4), 0.25)
    return replace(batch, around={COARSE: Around(rows, weights)})


class _Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch types it in part
    """Counts the bytes of the tensors that operations make, while they live."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = 0
        self._now = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and take notice of what it made."""
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, tuple | list) else (result,):
            if isinstance(each, torch.Tensor):
                self._note(each.untyped_storage())
        return result

    def _note(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._seen:
            return
        self._seen.add(key)
        self._now += size
        self.most = max(self.most, self._now)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self._now -= size
