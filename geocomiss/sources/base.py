"""What every source of satellite data offers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import xarray as xr
from odc.geo import Geometry
from odc.geo.geobox import GeoBox

from geocomiss.recipes import Recipe
from geocomiss.seasons import Calendar

RadarPass = Literal["auto", "asc", "desc", "both"]
"""Which radar passes are used: chosen for each cell of about 100 km and season, or as a user says."""


@dataclass(frozen=True)
class EarthEngine:
    """How Earth Engine is reached."""

    project: str | None = None
    """Cloud project; None: EARTHENGINE_PROJECT, else the one that the credentials name."""
    url: str | None = None
    """Address of the API; None: Google's own. Another one is a private gateway, or a test."""
    credentials: str = "auto"
    """'auto' (`earthengine authenticate`, else application default), 'application-default', 'none' (a
    gateway adds its own), or the path of a service account's key file."""
    parallel: int = 20
    """Requests under way at a time; Earth Engine allows a project 40."""
    deadline: float = 300.0
    """Seconds without an answer after which a request has failed: as long as Earth Engine computes."""
    attempts: int = 8
    """How often a request is sent before it counts as failed."""
    pause: float = 1.0
    """Longest pause in seconds before the second attempt; it doubles from attempt to attempt."""
    max_requests: int | None = None
    """Requests of pixels after which a run stops, those that are sent again included."""
    max_eecu_hours: float | None = None
    """Computing above which, by an estimate of what is left, a run does not begin."""
    s1_pass: RadarPass = "auto"
    """Radar passes to use."""
    cloud_score: float | None = None
    """Cloud Score+ from which a pixel is clear; None: as the recipe has it."""
    cut: bool = False
    """Whether CropHarvest's rule judges images by what lies within the area alone, as its exports of points
    did: to compare with one. Another tiling would then make another map."""


@dataclass(frozen=True)
class Reading:
    """How a source is to be read where that costs time or bytes."""

    wanted: Mapping[str, tuple[str, ...]] | None = None
    """Bands per modality that will be used: nothing else is searched for or read. None: all."""
    max_cloud: float = 100.0
    """Per cent of cloud cover up to which an optical image is read."""
    max_unreadable: float = 0.1
    """Share (0..1) of the images that may be unreadable before a run stops."""
    tile: int = 512
    """Pixels a side of the tiles that will be asked for."""
    ee: EarthEngine = EarthEngine()
    """How Earth Engine is reached, where it is asked at all."""
    keep: Path | None = None
    """Folder for what a remote source has sent, until the run is over. None: a temporary one."""
    area: Geometry | None = None
    """Where values will be used; a source may leave out the others. None: everywhere."""


class Source(Protocol):
    """Somewhere stacks come from. A row of `SOURCES`."""

    @property
    def name(self) -> str:
        """Stated in maps: the kind of source and a file's name, never a path."""

    @property
    def recipe(self) -> Recipe:
        """How its stacks are made."""

    @property
    def bands(self) -> dict[str, tuple[str, ...]]:
        """What it can deliver: bands per modality, canonical names. Known without reading pixels."""

    @property
    def simulated(self) -> bool:
        """Whether its values come from the simulated world."""

    @property
    def grid(self) -> GeoBox | None:
        """Its own pixel grid, which maps then keep, or None where it fills any grid asked for."""

    @property
    def held(self) -> Calendar | None:
        """The time steps that it holds, or None where it answers for any season."""

    def open(self, grid: GeoBox, season: Calendar) -> xr.DataTree:
        """The stack of a grid and season, lazily: arrays of Dask, or xarray's own lazy ones.

        Args:
            grid: The grid to fill; a window of the source's own where it has one.
            season: Time steps wanted. Steps in the future come back missing.

        Raises:
            SeasonError: The season is not held.
            SourceError: A file is damaged.
        """


@runtime_checkable
class Confined(Protocol):
    """A source that may hold an area alone: what is missing elsewhere was not asked for."""

    @property
    def area(self) -> Geometry | None:
        """Where its values are; None: all over its grid."""


@runtime_checkable
class Accounting(Protocol):
    """A source that reads over a network, and can say what came of it."""

    @property
    def state(self) -> str:
        """What stands for the data it found: other acquisitions, other state."""

    def account(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(what was read, what a user should worry about), up to now."""


@dataclass(frozen=True)
class Traffic:
    """What reading over a network took, beside the least that it could have taken."""

    bytes: int = 0
    """Bytes of images that came."""
    needed_bytes: int = 0
    """Of each image once what describes it, and each compressed block that a window touched once, in whatever
    process."""
    requests: int = 0
    """Requests for images that were sent, those sent again included."""
    fewest_requests: int = 0
    """One for the header of each image and, window by window, one for each row of blocks that lie one after
    the other in the file and that no window before it touched."""
    uncounted: int = 0
    """Windows that GDAL read by its own means, of files laid out in other ways: not counted above."""

    def __add__(self, other: "Traffic") -> "Traffic":
        """Of two sources."""
        return Traffic(
            self.bytes + other.bytes,
            self.needed_bytes + other.needed_bytes,
            self.requests + other.requests,
            self.fewest_requests + other.fewest_requests,
            self.uncounted + other.uncounted,
        )


@runtime_checkable
class Metered(Protocol):
    """A source that counts the bytes and requests of images."""

    @property
    def traffic(self) -> Traffic:
        """Up to now."""


@runtime_checkable
class Counting(Protocol):
    """A source whose copies in other processes count what they read."""

    def counted(self) -> object:
        """What was counted since the last call, as something that can be pickled."""

    def count(self, counted: object) -> None:
        """Add what a copy counted.

        Raises:
            SourceStopped: All copies together could not read too much.
        """


@runtime_checkable
class Listing(Protocol):
    """A source that can say which STAC Items its values come from."""

    @property
    def items(self) -> tuple[str, ...]:
        """Addresses of the Items found last, without tokens."""


@dataclass(frozen=True)
class Scenes:
    """What compositing takes: a block of a stack is made of several scenes in each step."""

    pixel: float
    """Most bytes that a pixel of a block takes in one step."""
    margin: int
    """Pixels that are read beyond each side of a block."""
    side: int
    """Most pixels a side of a block."""
    blocks: int
    """Blocks that are made at a time, on however many cores."""

    def taken(self, tile: int) -> float:
        """Bytes of all blocks in work, with tiles of so many pixels a side."""
        return self.blocks * self.pixel * (min(tile, self.side) + 2 * self.margin) ** 2


@runtime_checkable
class Compositing(Protocol):
    """A source that makes stacks of scenes, each of which is read in whole blocks."""

    def scenes(self, grid: GeoBox, season: Calendar) -> Scenes | None:
        """What compositing the stack of a grid and season takes; None where no part of it is composited."""

    def cut(self, tile: int) -> None:
        """Cut what is opened from now on for tiles of so many pixels a side."""
