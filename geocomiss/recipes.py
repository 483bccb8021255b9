"""How a stack was made, field by field, and whether that is how a model wants it.

A model states the recipe it was trained on, a stack the one it was made with. The comparison is
per modality, so that a modality that does not fit can be dropped and the map goes on.
"""

from dataclasses import dataclass, fields
from typing import Any, Final, Literal

from geocomiss.errors import RecipeError
from geocomiss.seasons import Cycle, StepLength


@dataclass(frozen=True)
class Recipe:
    """Every choice between raw acquisitions and a stack."""

    name: str
    """Key in `RECIPES` that this recipe started from."""
    first_month: int
    """First month (1..12) where no model says otherwise."""
    step: StepLength
    """Length of a time step."""
    steps: int
    """Number of time steps where no model says otherwise."""
    s2_level: str
    """'L2A' surface reflectance or 'L1C' top of atmosphere."""
    s1_product: str
    """'sigma0' (GRD, ellipsoid) or 'gamma0' (radiometrically terrain corrected)."""
    weather_product: str
    """'AgERA5', 'ERA5-Land', 'ERA5'."""
    terrain_product: str
    """'Copernicus DEM', 'SRTM', 'NASADEM'."""
    cloud_rule: str
    """'scl' (scene classification), 'cloud-score-plus', or 'best-pixel' (nothing is masked out)."""
    cloud_dilation: float = 30.0
    """Metres by which cloud, shadow and edge pixels are grown."""
    cloud_score: float | None = None
    """Cloud Score+ (`cs_cdf`, 0 cloudy to 1 clear) from which a pixel is clear; None: another cloud rule."""
    optical_compositing: str = "median"
    """'median' of the clear observations or 'best-pixel'."""
    radar_averaging: str = "linear-mean"
    """'linear-mean' (power, then dB) or 'median'."""
    ndvi: str = "true"
    """'true': (B8-B4)/(B8+B4); 'cropharvest': (B7-B3)/(B7+B3), as stored in that data set."""
    screened: bool = False
    """Whether copies of earlier radar steps and cloudy optical steps are declared not valid."""

    @property
    def cycle(self) -> Cycle:
        """The time steps used where no model says otherwise."""
        return Cycle(self.first_month, self.step, self.steps)


RECIPES: Final[dict[str, Recipe]] = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="monthly-l2a",
            first_month=1,
            step="month",
            steps=12,
            s2_level="L2A",
            s1_product="sigma0",
            weather_product="AgERA5",
            terrain_product="Copernicus DEM",
            cloud_rule="scl",
        ),
        Recipe(
            name="monthly-l2a-csplus",
            first_month=1,
            step="month",
            steps=12,
            s2_level="L2A",
            s1_product="sigma0",
            weather_product="AgERA5",
            terrain_product="Copernicus DEM",
            cloud_rule="cloud-score-plus",
            cloud_dilation=0.0,
            cloud_score=0.6,
        ),
        Recipe(
            name="cropharvest",
            first_month=2,
            step="30d",
            steps=12,
            s2_level="L1C",
            s1_product="sigma0",
            weather_product="ERA5-Land",
            terrain_product="SRTM",
            cloud_rule="best-pixel",
            cloud_dilation=0.0,
            optical_compositing="best-pixel",
            radar_averaging="median",
            ndvi="cropharvest",
            screened=True,
        ),
    )
}
"""All recipes by name."""

LATER: Final = frozenset({"cloud_score"})
"""Fields that stacks and samples written before they were there do without."""

Severity = Literal["refuse", "warn"]

COMPARED: Final[tuple[tuple[str, str, Severity], ...]] = (
    ("optical", "s2_level", "refuse"),
    ("optical", "ndvi", "refuse"),
    ("optical", "cloud_rule", "warn"),
    ("optical", "optical_compositing", "warn"),
    ("radar", "s1_product", "refuse"),
    ("radar", "radar_averaging", "warn"),
    ("weather", "weather_product", "warn"),
    ("topography", "terrain_product", "warn"),
)
"""(modality, field of the recipe, what a difference means)."""


@dataclass(frozen=True)
class Difference:
    """One way in which a stack is not what a model was trained on."""

    modality: str
    """The modality it concerns."""
    what: str
    """What differs, in words."""
    found: str
    """What the stack has."""
    expected: str
    """What the model wants."""
    severity: Severity
    """'refuse' or 'warn'."""

    def __str__(self) -> str:
        """One clause of a sentence."""
        return f"{self.modality}: {self.what} {self.found}, the model wants {self.expected}"


def differences(found: Recipe, expected: Recipe) -> tuple[Difference, ...]:
    """All fields of `COMPARED` in which a stack's recipe differs from a model's, in order."""
    return tuple(
        Difference(modality, field.replace("_", " "), str(have), str(want), severity)
        for modality, field, severity in COMPARED
        if (have := getattr(found, field)) != (want := getattr(expected, field))
    )


def recipe_named(name: str) -> Recipe:
    """The recipe called `name`. Raises RecipeError where there is none."""
    if name not in RECIPES:
        raise RecipeError(
            f"there is no recipe {name!r}", expected=" or ".join(RECIPES), todo="choose one of these"
        )
    return RECIPES[name]


def recipe_from(values: dict[str, Any]) -> Recipe:
    """A recipe from its stored fields (a model card, the attributes of a stack).

    Raises:
        RecipeError: A field is missing or unknown.
    """
    known = {field.name for field in fields(Recipe)}
    if wrong := (set(values) ^ known) - (LATER - set(values)):
        raise RecipeError(
            f"a stored recipe with fields missing or unknown: {', '.join(sorted(wrong))}",
            expected=f"exactly {', '.join(sorted(known))}",
            todo="write the stack or model again with this version of geocomiss",
        )
    return Recipe(**values)
