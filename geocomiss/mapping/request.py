"""What a user asks of a map, and what is reported back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from odc.geo.geobox import GeoBox

from geocomiss.engine import Wanted
from geocomiss.mapping.peaks import Peaks
from geocomiss.modalities import IMAGING
from geocomiss.seasons import Calendar
from geocomiss.sources.base import EarthEngine

OnMismatch = Literal["refuse", "drop", "allow"]
Progress = Callable[[int, int], None]
"""Told (pixels mapped, pixels to be mapped)."""

SHIPPED_MODEL: Final = "simulated"
"""The shipped model of the simulated world."""


@dataclass(frozen=True)
class MapRequest:
    """The arguments of `geocomiss map`."""

    source: str
    """As in `open_source`: 'simulated', 'ee', a catalogue, or the path of a local stack."""
    out: Path
    """Folder of the map."""
    aoi: str | None = None
    """Vector file, 'W,S,E,N' in degrees, or WKT; None maps a local stack whole."""
    season: str | None = None
    """See `seasons.parse_season`; None takes the one period that a local stack holds."""
    model: str | None = None
    """Checkpoint folder or the name of a shipped one; None: the shipped one, for simulation only."""
    resolution: float | None = None
    """Pixel size in units of the CRS; None: 10, or the local stack's own."""
    crs: str = "auto"
    """CRS of the map; 'auto': the area's UTM zones, a map each, or the local stack's own."""
    zone: str | None = None
    """UTM zone, such as 'utm31n', whose part of the area alone is mapped; None: the whole area."""
    min_steps: Mapping[str, int] = field(default_factory=dict)
    """Valid steps from which a modality is available, where it differs from the checkpoint's."""
    without: tuple[str, ...] = ()
    """Modalities to leave out."""
    require: tuple[str, ...] = IMAGING
    """A class is written only where one of these is available; () switches it off."""
    mask: str | None = None
    """Raster file, optionally with ':values'; only pixels of these values (else not 0) are mapped."""
    on_mismatch: OnMismatch = "refuse"
    """What to do with a modality that was not made as the model wants it."""
    device: str = "auto"
    """Where the networks run."""
    precision: Wanted = "auto"
    """Numbers that encoders are computed with; 'auto': bfloat16 where the processor multiplies it fast."""
    tile: int = 512
    """Pixels a side of the tiles that are computed and stored one by one."""
    memory: int | None = None
    """Bytes that all processes on this machine may take (with `scheduler`, each worker): `tile` follows from
    it. None: as much as `tile` takes."""
    workers: int = 0
    """Processes on this machine that compute tiles; 0: this one alone."""
    scheduler: str | None = None
    """Address of a Dask scheduler whose workers compute tiles."""
    skip_failed: bool = False
    """Whether tiles that fail again and again are left out of the map; else there is no map."""
    overwrite: bool = False
    """Whether a finished map in `out` may be replaced."""
    simulated_model_on_real_data: bool = False
    """Whether a model of the simulated world may be let loose on real data."""
    seed: int = 0
    """Seed of the simulated world."""
    cloud_dilation: float | None = None
    """Metres by which clouds are grown, where the source can choose; None: as the recipe has it."""
    weather: str | None = None
    """File from which the weather is taken; None: from the source, if it has any."""
    priors: Path | None = None
    """CSV of known class shares; None: as in training."""
    max_cloud: float = 100.0
    """Per cent of cloud cover up to which an image of a catalogue is read."""
    max_unreadable: float = 10.0
    """Per cent of a catalogue's images that may be unreadable."""
    probabilities: bool = False
    """Whether the probability of every class is written, too."""
    applicability: bool = False
    """Whether it is written how unlike the training samples each pixel is."""
    smooth: int = 0
    """Pixels a side of the neighbourhood that smooths the map, odd; 0: not smoothed."""
    mapping_unit: float = 0.0
    """Hectares below which patches take the class of their largest neighbour; 0: none do."""
    legend: str | None = None
    """CSV with other names and colours of the classes; None: as the model has them."""
    ee: EarthEngine = field(default_factory=EarthEngine)
    """How Earth Engine is reached, where it is the source."""
    command: str = ""
    """The command line, for `run.json`."""

    @property
    def needs_probabilities(self) -> bool:
        """Whether the probability of every class is asked for, smoothed, or decides on small patches."""
        return self.probabilities or self.smooth > 0 or self.mapping_unit > 0

    @property
    def by_workers(self) -> bool:
        """Whether other processes than this one compute tiles."""
        return bool(self.workers or self.scheduler)

    @property
    def kept(self) -> Path:
        """Folder for what a metered source has sent, until the map is finished."""
        return self.out / "fetched"


@dataclass(frozen=True)
class MapReport:
    """What was mapped, as told to the user and written to `run.json`."""

    folder: Path
    """Where the map lies."""
    grid: GeoBox
    """Its pixel grid."""
    calendar: Calendar
    """The resolved season."""
    notes: list[str]
    """What was done on the user's behalf."""
    warnings: list[str]
    """What the user should worry about."""
    classes: list[dict[str, Any]]
    """`value, name, color, pixels, area_ha` per class; the area is a pixel count, not an estimate."""
    modality_share: dict[str, float]
    """Share of the mapped pixels at which each modality was available."""
    nodata: dict[str, int]
    """Pixels `outside` the area, `masked`, and with `required_missing`."""
    files: list[str]
    """Files written, relative to `folder`."""
    px_per_s: float | None
    """Classified pixels per second (see `Clock.rate`); None where this run classified none."""
    seconds: float
    """Wall-clock time."""
    simulated_model: bool
    """Whether a model of the simulated world was used on real data."""
    observed: dict[str, list[float]] = field(default_factory=dict)
    """Clear observations of a mapped pixel in each time step, on average, by modality."""
    tiles: int = 0
    """Tiles that meet the area."""
    computed: int = 0
    """Pixels classified in this run."""
    kept: int = 0
    """Pixels classified in tiles that this run did not compute, mostly by earlier, interrupted ones."""
    time: dict[str, float] = field(default_factory=dict)
    """Where the time of this run went (see `Clock.shares`)."""
    failed: dict[str, str] = field(default_factory=dict)
    """Why tiles failed that hold no data, by name."""
    peaks: Peaks = field(default_factory=Peaks)
    """The most memory that the processes took which computed tiles; of several zones see `run.json`."""
    zones: tuple[dict[str, Any], ...] = ()
    """`name, crs, pixels, area_ha` of each UTM zone with a map of its own; none: there is one map."""
    outside_applicability: float | None = None
    """Share of the pixels with a class that lie outside the area of applicability; None: not known, or there
    are none."""
