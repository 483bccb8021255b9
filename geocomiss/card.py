"""The model card: what a model reads, how that must have been made, what it tells apart, how well.

A schema, so that a damaged card is refused in words. It holds 1-degree cells and
hashes, never points.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from geocomiss.applicability import StatedApplicability
from geocomiss.applicability import problem_of as applicability_problem
from geocomiss.batch import Spec
from geocomiss.calibration import Calibration, Readout, problem_of
from geocomiss.footprint import DIGITS, Footprint, split
from geocomiss.modalities import MODALITIES
from geocomiss.recipes import Recipe
from geocomiss.scores import Scores, ValueScores
from geocomiss.seasons import Cycle


class _Part(BaseModel):
    """A part of the card: unknown fields are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ClassInfo(_Part):
    """One class of the map."""

    value: int = Field(ge=1, le=254)
    """Pixel value in `crop_type.tif`: its position among the classes + 1; 0 is nodata."""
    name: str = Field(min_length=1)
    """Name shown to people."""
    color: str = Field(pattern="^#[0-9a-f]{6}$")
    """Colour shown in maps, '#rrggbb'."""


class Target(_Part):
    """The value that a regression predicts (the weights hold the same numbers)."""

    name: str = Field(min_length=1)
    """Its column in the samples table."""
    mean: float
    """Mean over the training part, in its own unit: also what is predicted where nothing is known."""
    std: float = Field(gt=0)
    """Standard deviation over the training part."""


class Statistics(_Part):
    """Normalisation of one modality, one number per band it reads."""

    mean: tuple[float, ...]
    """Mean in canonical units."""
    std: tuple[float, ...]
    """Standard deviation in canonical units."""


class HashedPlaces(_Part):
    """Where training samples lie, as salted hashes: see `geocomiss.footprint`."""

    salt: str
    """Mixed into every hash."""
    pixels: str = Field(pattern=f"^([0-9a-f]{{{DIGITS}}})*$")
    """The hashes of their pixels, sorted, one after the other."""

    @property
    def known(self) -> Footprint:
        """The same, to ask."""
        return Footprint(self.salt, split(self.pixels))


class BegunFrom(_Part):
    """The trained model that a training began from."""

    model_sha256: str
    """Digest of its weights."""
    table: str
    """Name of the samples table that it was trained on."""
    n: int
    """Number of samples it was trained on."""
    kept: tuple[str, ...]
    """Classes whose heads were kept."""
    fresh: tuple[str, ...]
    """Classes that it did not know."""
    dropped: tuple[str, ...]
    """Classes that it knew and the new model does not."""
    footprints: tuple[HashedPlaces, ...]
    """Where its samples lie, and those of models before it."""


class Distilled(_Part):
    """The teacher that a compact model learnt from; its weights are not kept."""

    method: str
    """Key of the teacher in `METHODS`."""
    options: dict[str, JsonValue]
    """Options of the teacher."""
    epochs: int
    """Passes over the same samples up to the weights that taught."""
    parameters: int = Field(ge=1)
    """Number of weights of the teacher."""
    own_parameters: int = Field(ge=1)
    """Number of weights of the model itself."""


class Training(_Part):
    """What a model was trained on."""

    table: str
    """Name of the samples table."""
    sha256: str
    """Digest of the table."""
    label: str
    """Its column that holds the labels, or the target."""
    legend: str | None
    """Name of the legend that merged labels into classes."""
    n: int = Field(ge=1)
    """Number of samples trained on, inner validation included."""
    n_by_class: dict[str, int]
    """The same per class; empty for a regression."""
    seed: int
    """Seed of weights, order, drop-out and splits."""
    epochs: int
    """Passes over the samples up to the weights kept."""
    years: tuple[int, ...]
    """Years of the seasons' last days, where known."""
    cells: tuple[tuple[int, int], ...]
    """1-degree cells [lat, lon], by their south-west corners: where samples lie, never the points."""
    groups: str
    """How samples were grouped in space, so that no group is both trained on and scored."""
    held_out: str | None
    """Samples kept out on request, 'fold=0'."""
    recipe_stated: bool
    """Whether the table states its recipe; else the user or the default did."""
    footprint: HashedPlaces | None = Field(default=None, exclude_if=lambda places: places is None)
    """Where the samples lie, hashed; None (and then not written) for generated samples."""
    class_weights: dict[str, float] | None = Field(default=None, exclude_if=lambda weights: weights is None)
    """Weight of each class in the losses; None (and then not written) for a regression and old cards."""
    begun_from: BegunFrom | None = Field(default=None, exclude_if=lambda begun: begun is None)
    """The model that this one began from; None (and then not written) where it began afresh."""
    distilled: Distilled | None = Field(default=None, exclude_if=lambda teacher: teacher is None)
    """The teacher of a compact model; None (and then not written) where it had none."""

    @property
    def places(self) -> Footprint | None:
        """Where its samples lie, and those of the models that it began from; None where nobody says it."""
        earlier = self.begun_from.footprints if self.begun_from else ()
        known = [each.known for each in (self.footprint, *earlier) if each]
        return replace(known[0], others=tuple(known[1:])) if known else None


class Card(_Part):
    """Everything about a model but its weights."""

    format: Literal[1] = 1
    """Version of this layout."""
    method: str
    """Key in `METHODS`."""
    options: dict[str, JsonValue]
    """Options of the method."""
    classes: tuple[ClassInfo, ...]
    """What the model tells apart, in the order of its logits; empty for a regression."""
    target: Target | None = None
    """What a regression predicts; for classes None, and not written."""
    recipe: Recipe
    """How a stack must have been made."""
    cycle: Cycle | None
    """Time steps, or None where the training samples mix several."""
    steps: int = Field(ge=1)
    """Number of time steps T, also where the cycle is mixed."""
    bands: dict[str, tuple[str, ...]] = Field(min_length=1)
    """Bands read per modality."""
    min_steps: dict[str, int]
    """Valid steps from which a modality counts as available at a pixel."""
    statistics: dict[str, Statistics]
    """Normalisation per modality (the weights hold the same numbers)."""
    training: Training
    """What it was trained on."""
    scores: Scores | ValueScores | None
    """How well it does on samples not trained on; None where it was never scored."""
    calibration: Calibration | None = Field(default=None, exclude_if=lambda known: known is None)
    """How sure it may be; None (and then not written) for a regression and for old cards."""
    applicability: StatedApplicability | None = Field(default=None, exclude_if=lambda known: known is None)
    """How far it may go from its training samples; None (and then not written) likewise."""
    simulated: bool
    """Whether it was trained on the simulated world."""
    model_sha256: str = ""
    """Digest of the weights file; filled in by `write_checkpoint`."""

    @model_validator(mode="after")
    def _consistent(self) -> "Card":
        unknown = [f"{name} {band}" for name, band in _pairs(self.bands) if not _known(name, band)]
        if unknown:
            raise ValueError(f"unknown bands: {', '.join(unknown)}")
        for field, mapping in (("min_steps", self.min_steps), ("statistics", self.statistics)):
            if mapping.keys() != self.bands.keys():
                raise ValueError(f"{field} is for {sorted(mapping)}, bands for {sorted(self.bands)}")
        if [info.value for info in self.classes] != list(range(1, len(self.classes) + 1)):
            raise ValueError("class values do not count 1, 2, 3, ...")
        if not (len(self.classes) >= 2 if self.target is None else not self.classes):
            raise ValueError(f"{len(self.classes)} classes, neither 2 or more nor none but a target")
        wanted = Scores if self.target is None else ValueScores
        if not isinstance(self.scores, wanted | None):
            raise ValueError("scores of another kind than what the model predicts")
        if self.calibration and (
            problem := problem_of(self.calibration, self.spec.modalities, len(self.classes))
        ):
            raise ValueError(problem)
        if self.applicability and (problem := applicability_problem(self.applicability, self.spec)):
            raise ValueError(problem)
        return self

    @model_serializer(mode="wrap")
    def _written(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """The card of a classifier has no word on targets: it stays what it was before there were any."""
        stored: dict[str, Any] = write(self)
        return stored if self.target else {key: value for key, value in stored.items() if key != "target"}

    @property
    def spec(self) -> Spec:
        """What the method reads."""
        screened = self.recipe.screened
        if self.target:
            return Spec(self.bands, self.steps, 1, self.min_steps, screened, "value")
        return Spec(self.bands, self.steps, len(self.classes), self.min_steps, screened)

    @property
    def shares(self) -> tuple[float, ...]:
        """Class shares that the model's probabilities refer to, in the order of `classes`.

        Those of the samples it was calibrated on. A network that was not calibrated and had balanced
        class weights speaks as if all classes were equally frequent; without weights, as in training.
        """
        if self.calibration:
            return self.calibration.shares
        counts = [max(self.training.n_by_class.get(info.name, 0), 1) for info in self.classes]
        if self.options.get("class_weights", "balanced") == "balanced":
            counts = [1] * len(counts)
        return tuple(count / sum(counts) for count in counts)

    def readout(self, priors: tuple[float, ...] | None = None) -> Readout:
        """How its logits become classes and probabilities, with known class shares (K,) if any."""
        return Readout(self.calibration, self.shares, priors)


def _pairs(bands: Mapping[str, tuple[str, ...]]) -> list[tuple[str, str]]:
    return [(name, band) for name, several in bands.items() for band in several]


def _known(name: str, band: str) -> bool:
    return name in MODALITIES and band in MODALITIES[name].band_names
