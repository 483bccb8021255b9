"""What is to be exported, and how many tasks may be queued."""

import hashlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from geocomiss.errors import SourceError
from geocomiss.recipes import Recipe, recipe_named
from geocomiss.seasons import Cycle
from geocomiss.sources.base import EarthEngine
from geocomiss.sources.exports.manifest import Destination

QUEUE: Final = 3000
"""Tasks that Earth Engine lets a user queue."""
RETRIES: Final = 2
"""How often a task that has failed is started again."""
SIDE: Final = 1024
"""Pixels a side of a tile."""
PREFIX: Final = re.compile(r"[A-Za-z0-9._/-]*")
NAME: Final = re.compile(r"[^A-Za-z0-9_-]")


@dataclass(frozen=True)
class Limits:
    """How many tasks are started."""

    queued: int = QUEUE
    """Tasks in the queue at a time, those of other programs included."""
    retries: int = RETRIES
    """How often a task that has failed is started again."""
    tasks: int | None = None
    """Tasks to start at most, now; None: no limit."""
    eecu_hours: float | None = None
    """Computing above which no further task is started; None: no limit."""


@dataclass(frozen=True)
class ExportRequest:
    """The arguments of `geocomiss export start`."""

    out: Path
    """Folder of the export, on this machine: its manifest, and what has become of its tasks."""
    aoi: str
    """Vector file, 'W,S,E,N' in degrees, or WKT."""
    season: str
    """See `seasons.parse_season`."""
    bucket: str | None = None
    """Bucket of Cloud Storage to write to, without `gs://`."""
    drive_folder: str | None = None
    """Folder of Google Drive to write to, in place of a bucket."""
    prefix: str | None = None
    """What names of files begin with; None: the name of `out`."""
    model: str | None = None
    """Model that is to map: its recipe and bands are exported."""
    recipe: str = "monthly-l2a"
    """Name of the recipe, without a model."""
    resolution: float | None = None
    """Pixel size in units of the CRS; None: 10."""
    crs: str = "auto"
    """CRS; 'auto': the area's UTM zone."""
    tile: int = SIDE
    """Pixels a side of a tile."""
    max_cloud: float = 100.0
    """Per cent of cloud cover up to which an image is used."""
    cloud_dilation: float | None = None
    """Metres by which clouds are grown; None: as the recipe has it."""
    without: tuple[str, ...] = ()
    """Modalities to leave out."""
    ee: EarthEngine = field(default_factory=EarthEngine)
    """How Earth Engine is reached."""
    limits: Limits = field(default_factory=Limits)
    """How many tasks are started."""

    @property
    def kept(self) -> Path:
        """Folder for the lists of images, so that the same command means the same images."""
        return self.out / "lists"

    @property
    def destination(self) -> Destination:
        """Where the files go.

        Raises:
            SourceError: Neither a bucket nor a folder of Drive, or both, or a prefix of odd letters.
        """
        if (self.bucket is None) == (self.drive_folder is None):
            raise SourceError(
                "an export to " + ("two places" if self.bucket else "nowhere"),
                expected="--bucket or --drive-folder",
                todo="give one of them",
            )
        name = NAME.sub("-", self.out.absolute().name)
        if self.prefix is not None and not PREFIX.fullmatch(self.prefix):
            raise SourceError(
                f"--prefix {self.prefix!r}", expected="letters, digits and ._/-", todo="correct it"
            )
        if self.bucket is not None:
            bucket = self.bucket.removeprefix("gs://").rstrip("/")
            if not bucket or "/" in bucket:
                raise SourceError(
                    f"--bucket {self.bucket!r}", expected="its name", todo="give folders in it as --prefix"
                )
            prefix = f"{name}/" if self.prefix is None else self.prefix
            return Destination("bucket", bucket, prefix.lstrip("/"))
        prefix = f"{name}_" if self.prefix is None else self.prefix
        if "/" in prefix:
            raise SourceError(
                f"--prefix {prefix!r} in Drive", expected="one without /", todo="name a --drive-folder"
            )
        return Destination("drive", str(self.drive_folder), prefix)


def wanted_by(
    model: str | None, recipe: str, without: tuple[str, ...]
) -> tuple[Recipe, Cycle, dict[str, tuple[str, ...]] | None]:
    """Recipe, time steps, and bands per modality (None: all): of the model, or else of the recipe.

    Raises:
        GeocomissError: There is no such model or recipe.
    """
    if model is None:
        named = recipe_named(recipe)
        return named, named.cycle, _all_but(without)
    from geocomiss.checkpoint import read_card  # brings torch, which a stack does not need

    card = read_card(model)
    bands = {name: each for name, each in card.bands.items() if name not in without}
    return card.recipe, card.cycle or card.recipe.cycle, bands


def _all_but(without: tuple[str, ...]) -> dict[str, tuple[str, ...]] | None:
    from geocomiss.modalities import MODALITIES

    if not without:
        return None
    return {name: each.band_names for name, each in MODALITIES.items() if name not in without}


def digest_of(values: dict[str, Any]) -> str:
    """What stands for everything that decides an export."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()
