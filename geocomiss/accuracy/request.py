"""What an assessment is asked for, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from numpy.typing import NDArray

from geocomiss.accuracy.columns import Design
from geocomiss.footprint import Footprint

UnknownLabels = Literal["refuse", "count"]
"""What happens with labels that the map does not know."""
FEW: Final = 10
"""Reference points of a class under which its figures are warned of."""
FEWEST_IN_PART: Final = 30
"""Reference points under which a district or a combination of modalities gets its mapped area only."""
RARE: Final = 0.10
"""Share of the area under which a class is rare."""
HOLDS: Final = 0.93
"""How often the normal interval must hold in a simulated area like this one to be relied on."""


@dataclass(frozen=True)
class AssessRequest:
    """A map to assess."""

    map: Path
    """Folder of a finished map."""
    reference: Path
    """Vector file with reference points."""
    design: Design | None = None
    """How they were drawn; None: the file's column says it."""
    probability_sample: bool = True
    """False: the points are no probability sample, and nothing is said about areas."""
    label: str = "label"
    """Column with the class found at each point."""
    legend: Mapping[str, str] | None = None
    """Class of each label, where labels are finer than the map's classes."""
    unknown_labels: UnknownLabels = "refuse"
    """What happens with labels that the map does not know."""
    stratum: str | None = None
    """Column with strata; None: `stratum` where there is one, else the map's classes."""
    strata_sizes: Path | None = None
    """CSV with the sizes of the strata; None: the file's columns say them."""
    cluster: str = "cluster"
    """Column with clusters."""
    domains: Path | None = None
    """Vector file with districts."""
    domain_name: str | None = None
    """Its column with names."""
    model: str | None = None
    """The model that made the map, as the user names it; None: not named."""
    footprint: Footprint | None = None
    """Where the model's training samples lie; None where that is not known."""
    allow_training_points: bool = False
    """Whether points on training samples count."""
    seed: int = 0
    """Seed of the simulated coverage."""


@dataclass(frozen=True)
class Estimate:
    """A share between 0 and 1."""

    value: float
    """The estimate; NaN where no point tells."""
    se: float | None
    """Its standard error; None where points are no probability sample."""


@dataclass(frozen=True)
class AreaEstimate:
    """The true area of a class, in hectares, with 95 % intervals."""

    hectares: float
    """The estimate."""
    se: float
    """Its standard error."""
    normal: tuple[float, float]
    """Estimate +- 1.96 standard errors."""
    cautious: tuple[float, float]
    """An interval that holds for rare classes, too."""
    advised: Literal["normal", "cautious"]
    """Which of the two to use."""
    coverage: tuple[float, float] | None
    """How often the two hold in simulated samples like this one, 0 to 1; None where not simulated."""

    @property
    def interval(self) -> tuple[float, float]:
        """The advised one."""
        return self.normal if self.advised == "normal" else self.cautious


@dataclass(frozen=True)
class ClassFigures:
    """How well a class is mapped."""

    name: str
    """Its name."""
    color: str
    """Its colour, '#rrggbb'."""
    mapped_ha: float
    """Its area in the map: a pixel count, no estimate."""
    mapped_points: int
    """Reference points that the map gives this class."""
    reference_points: int
    """Reference points that are of this class."""
    users: Estimate
    """User's accuracy: how much of what is mapped as this class is it."""
    producers: Estimate
    """Producer's accuracy: how much of this class is mapped as it."""
    f1: Estimate
    """Their harmonic mean."""
    area: AreaEstimate | None
    """Its true area; None where points are no probability sample, or too few."""


@dataclass(frozen=True)
class Figures:
    """How well an area, or a part of it, is mapped."""

    name: str
    """Which part."""
    mapped_ha: float
    """Its mapped area."""
    points: int
    """Reference points in it."""
    overall: Estimate
    """Overall accuracy."""
    classes: tuple[ClassFigures, ...]
    """Its classes; with mapped areas only where `points` are too few."""

    @property
    def enough(self) -> bool:
        """Whether there are points enough to say anything but mapped areas."""
        return self.points >= FEWEST_IN_PART


@dataclass(frozen=True)
class PointFound:
    """What became of a reference point."""

    id: str
    """Its `id`, or else its row in the file, from 1."""
    lat: float
    """Degrees north."""
    lon: float
    """Degrees east."""
    label: str
    """Its label as written."""
    reference: str
    """The class that this was read as."""
    mapped: str
    """The class in the map."""
    modalities: str
    """What the map was decided on there."""
    status: str
    """'used', or why not."""


@dataclass(frozen=True)
class Assessment:
    """How good a map is, and how much of each class there is."""

    map: str
    """Name of the map's folder."""
    reference: str
    """Name of the file with reference points."""
    design: Design | None
    """How points were drawn; None: they are no probability sample."""
    strata: str
    """What the strata are, in words."""
    whole: Figures
    """The whole map."""
    matrix: NDArray[Any]
    """(K, K) reference points: rows the map, columns the reference, in the order of the classes."""
    matrix_share: NDArray[Any]
    """(K, K) the same as shares of the area (of the points, without a probability sample)."""
    patterns: tuple[Figures, ...]
    """By what the map was decided on, most area first."""
    districts: tuple[Figures, ...]
    """By district, in the order of the file."""
    points: tuple[PointFound, ...]
    """What became of each point."""
    notes: tuple[str, ...]
    """What was assumed, a sentence each."""
    warnings: tuple[str, ...]
    """What a reader must know, a sentence each."""
