"""What a user asks of sampling, and what is reported back.

N samples.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from geocomiss.sources.base import EarthEngine

Progress = Callable[[int, int], None]
"""Told (samples done, samples in all)."""

EDGE: Final = 10.0
"""Metres that the centre of a pixel lies inside a polygon at least: a pixel of 10 m is then wholly in it."""
PER_POLYGON: Final = 5
"""Pixels drawn in a polygon. More of one field tell little more: they look alike."""
TILE: Final = 256
"""Pixels a side of the windows that are read; small, because points lie apart."""


@dataclass(frozen=True)
class SamplingRequest:
    """The arguments of `geocomiss sample`."""

    points: Path
    """Vector file with points or polygons, any CRS, or the `labels.geojson` of CropHarvest."""
    source: str
    """As in `open_source`: 'simulated', a catalogue, or the path of a local stack."""
    out: Path
    """Parquet file to write."""
    label: str | None = None
    """Column with labels; None: 'label', or 'classification_label' in CropHarvest's file."""
    merge_labels: bool = False
    """Whether labels that differ in case, spaces, '-' and '_' alone are one; else they are refused."""
    season: str | None = None
    """See `seasons.read_season`; None: the season column, or the only period that a local stack holds."""
    season_column: str | None = None
    """Column with the season of each point, such as 2021 or 2020-11:2021-10."""
    per_polygon: int = PER_POLYGON
    """Pixels drawn in a polygon at most."""
    edge: float = EDGE
    """Metres that centres of pixels keep from the edge of their polygon, inside."""
    recipe: str = "monthly-l2a"
    """Name of the recipe, where the source can choose."""
    resolution: float | None = None
    """Pixel size in units of the CRS; None: 10, or the local stack's own."""
    crs: str = "auto"
    """CRS of the pixels; 'auto': the UTM zone of each point, or the local stack's own."""
    cloud_dilation: float | None = None
    """Metres by which clouds are grown, where the source can choose; None: as the recipe has it."""
    weather: str | None = None
    """File from which the weather is taken; None: from the source, if it has any."""
    max_cloud: float = 100.0
    """Per cent of cloud cover up to which an image of a catalogue is read."""
    max_unreadable: float = 10.0
    """Per cent of a catalogue's images that may be unreadable."""
    tile: int = TILE
    """Pixels a side of the windows that are read and kept one by one."""
    seed: int = 0
    """Seed of the pixels drawn in polygons."""
    sim_seed: int = 0
    """Seed of the simulated world."""
    overwrite: bool = False
    """Whether files that are there may be replaced, and unfinished work thrown away."""
    ee: EarthEngine = field(default_factory=EarthEngine)
    """How Earth Engine is reached, where it is the source."""

    @property
    def partial(self) -> Path:
        """Where series are kept until the table is written: beside it, 'samples.parquet.partial'."""
        return self.out.with_name(f"{self.out.name}.partial")


@dataclass(frozen=True)
class LeftOut:
    """A point or polygon that gave no sample, or one of its pixels."""

    feature: int
    """Its row in the file, from 1."""
    label: str
    """Its label as written."""
    lat: float
    """Degrees north; NaN where it has no place."""
    lon: float
    """Degrees east."""
    why: str
    """One of the reasons in `sampling.features` and `sampling.pixels`."""


@dataclass(frozen=True)
class SamplingReport:
    """What came of a sampling."""

    path: Path
    """The table."""
    features: int
    """Points and polygons in the file."""
    per_class: Mapping[str, int]
    """Samples of each class."""
    missing: Mapping[str, tuple[float, ...]]
    """Per modality the share of samples without a value, by time step (T,); (1,) where nothing changes."""
    months: tuple[int, ...]
    """Month of each step (T,), 0 where it differs between samples."""
    left_out: tuple[LeftOut, ...]
    """What gave no sample, and why."""
    notes: tuple[str, ...]
    """What was done on the user's behalf, a sentence each."""
    warnings: tuple[str, ...]
    """What the user should worry about, a sentence each."""
    files: tuple[Path, ...] = ()
    """Files written, the table first."""

    @property
    def n(self) -> int:
        """Number of samples N."""
        return sum(self.per_class.values())

    @property
    def reasons(self) -> dict[str, int]:
        """How many were left out, by reason."""
        found: dict[str, int] = {}
        for each in self.left_out:
            found[each.why] = found.get(each.why, 0) + 1
        return found
