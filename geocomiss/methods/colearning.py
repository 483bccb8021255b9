"""What Co-Miss and its relatives share: separated features, one prediction a modality, their mean.

N pixels, R rows, M modalities, K classes, H half of the features.
Source: Mena, Ienco, Dantas and Interdonato, "Harnessing multi-modal co-learning for missing Earth
observation modalities"; features after MDiCo, distillation after DSensD+ (2025, same authors).
Where the paper leaves a choice open it is a named option; the default is our first reading.
"""

from abc import abstractmethod
from dataclasses import dataclass as plain_dataclass
from typing import ClassVar, Literal

import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geocomiss.batch import Batch, Spec
from geocomiss.methods.base import Losses, Method, MethodOptions
from geocomiss.methods.features import (
    FeaturePair,
    Features,
    View,
    contrastive_losses,
    discriminator_losses,
    identical_rows,
)
from geocomiss.methods.fusion import FUSIONS, Fusion
from geocomiss.methods.losses import mean_over, weighted_ce, weighted_ce_each
from geocomiss.nets import SIZES, MLPHead, in_chunks, per_pixel, pixels_of


@dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class CoLearningOptions(MethodOptions):
    """Choices that the paper leaves open, the first value of each being the default."""

    distillation: Literal["ce+kl", "kl", "ce"] = "ce+kl"
    """Terms for a student's prediction: against the label, against the teacher, or both."""
    contrastive: Literal["mean", "sum", "per-modality"] = "mean"
    """NT-Xent over pairs of modalities: mean, sum over ordered pairs, or that sum / M."""
    discriminated: Literal["specific", "specific+unused", "specific+shared"] = "specific"
    """Features from which a discriminator tells the modality."""
    logit_norm: Literal["none", "layer"] = "none"
    """Normalisation of each modality's logits before they are averaged."""
    fusion: Fusion = "logits"
    """What is averaged over the available modalities."""
    auxiliary: bool = False
    """Whether specific and shared features are also classified on their own while training."""
    temperature: float = Field(default=0.5, gt=0)
    """Temperature T of the distillation."""
    contrastive_temperature: float = Field(default=0.1, gt=0)
    """Temperature of NT-Xent."""
    teacher: Literal["detached", "attached", "mutual"] = "detached"
    """The fused prediction without or with a gradient, or all modalities teaching each other."""
    head: Literal["linear", "mlp"] = "linear"
    """Classifier of each modality."""
    unused: Literal["dropped", "kept"] = "dropped"
    """The unused half of the features; built anyway where a discriminator reads it."""
    monitor: Literal["ce", "total"] = "ce"
    """What early stopping watches: the CE of the fused prediction, or the whole objective."""
    negatives: Literal["distinct", "all"] = "distinct"
    """Contrastive negatives: only pixels with other input (weather cells repeat), or all."""


@plain_dataclass(frozen=True)
class Outputs:
    """Everything that the losses of one batch need."""

    available: Tensor
    """(N, M) bool."""
    logits: Tensor
    """(N, M, K), zeros where a modality is not available."""
    full: Tensor
    """(N, K) fused from all that is available."""
    features: list[Features]
    """Per modality, of the pixels that have it."""
    views: list[View]
    """Per modality, for the contrastive loss."""


class Branch(nn.Module):
    """The part of a model that sees one modality.

    Args:
        modality: Key in `MODALITIES`.
        spec: What the method reads.
        options: Choices.
    """

    def __init__(self, modality: str, spec: Spec, options: CoLearningOptions) -> None:
        super().__init__()
        size = SIZES[options.preset]
        unused = options.unused == "kept" or options.discriminated == "specific+unused"
        self.features = FeaturePair(modality, spec.shape(modality), size, options.dropout, unused)
        mlp = options.head == "mlp"
        width = 2 * self.features.split
        self.head = MLPHead(width, spec.classes, options.dropout) if mlp else nn.Linear(width, spec.classes)
        self.norm = nn.LayerNorm(spec.classes) if options.logit_norm == "layer" else nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor, Features]:
        """Logits (R, K) and features of normalised rows (R, T, C)."""
        features = self.features(x)
        both = torch.cat([features.specific, features.shared], 1)
        return self.norm(self.head(both)), features


class CoLearning(Method):
    """A branch a modality, predictions averaged; subclasses add what they distil."""

    options_type: ClassVar[type[MethodOptions]] = CoLearningOptions

    def __init__(self, spec: Spec, options: CoLearningOptions) -> None:
        super().__init__(spec, options)
        self.options = options
        self.branches = nn.ModuleDict({name: Branch(name, spec, options) for name in spec.modalities})
        half, modalities = SIZES[options.preset].features // 2, len(spec.modalities)
        self.discriminator = nn.Linear(half, modalities)
        second = options.discriminated != "specific"
        self.second_discriminator = nn.Linear(half, modalities) if second else None
        self.auxiliary = nn.Linear(half, spec.classes) if options.auxiliary else None

    def forward(self, batch: Batch) -> Tensor:
        """Logits (N, K), the mean over the modalities that each pixel has."""
        available = batch.available
        if self.training:
            return self.outputs(batch).full
        each = [
            per_pixel(self._single(name), batch, name, available[:, column], self.spec.classes)
            for column, name in enumerate(self.spec.modalities)
        ]
        if len(batch) == 0:
            return available.new_zeros(0, self.spec.classes, dtype=torch.float32)
        return in_chunks(FUSIONS[self.options.fusion], torch.stack(each, 1), available)

    def loss(self, batch: Batch, y: Tensor, generator: torch.Generator) -> Losses:
        """Prediction, separated features, and distillation."""
        outputs = self.outputs(batch)
        terms = {"main": weighted_ce(outputs.full, y, self.class_weight, outputs.available.any(1))}
        terms |= self._feature_losses(outputs, y)
        terms |= self.distil(outputs, y, generator)
        return {"total": torch.stack(list(terms.values())).sum(), **terms}

    @abstractmethod
    def distil(self, outputs: Outputs, y: Tensor, generator: torch.Generator) -> Losses:
        """The terms in which one prediction teaches another."""

    def monitored(self, batch: Batch, y: Tensor) -> Tensor:
        """The CE of the fused prediction, or the whole objective with one fixed drop-out."""
        if self.options.monitor == "ce":
            return super().monitored(batch, y)
        return self.loss(batch, y, torch.Generator().manual_seed(0))["total"]

    def outputs(self, batch: Batch) -> Outputs:
        """Encode every pixel once with all it has; losses re-use this for every subset."""
        available = batch.available
        logits, features, views = [], [], []
        for column, name in enumerate(self.spec.modalities):
            wanted = torch.nonzero(available[:, column]).squeeze(1)
            x = self.normalise[name](pixels_of(batch, name, wanted))
            own, found = self.branches[name](x) if len(wanted) else self._nothing(x)
            logits.append(_placed(own, wanted, len(batch)))
            features.append(found)
            views.append(self._view(found, x, wanted, available[:, column]))
        each = torch.stack(logits, 1)
        full = FUSIONS[self.options.fusion](each, available)
        return Outputs(available, each, full, features, views)

    def teacher(self, outputs: Outputs) -> Tensor:
        """Logits (N, K) that teach."""
        return outputs.full if self.options.teacher == "attached" else outputs.full.detach()

    def _single(self, name: str) -> nn.Module:
        return _LogitsOnly(self.normaliser(name), self.branches[name])

    def _feature_losses(self, outputs: Outputs, y: Tensor) -> Losses:
        terms = {"modality": self._modality_loss(outputs)}
        pairs = contrastive_losses(outputs.views, self.options.contrastive_temperature)
        if pairs:
            modalities = len(outputs.views)
            # each pair stands for two ordered ones
            scale = {"mean": 1 / len(pairs), "sum": 2.0, "per-modality": 2 / modalities}
            terms["contrastive"] = torch.stack(pairs).sum() * scale[self.options.contrastive]
        if self.auxiliary is not None:
            terms["auxiliary"] = self._auxiliary_loss(outputs, y)
        return terms

    def _modality_loss(self, outputs: Outputs) -> Tensor:
        available, features = outputs.available, outputs.features
        losses = discriminator_losses(self.discriminator, [one.specific for one in features], available)
        if self.second_discriminator is not None:
            shared = self.options.discriminated == "specific+shared"
            parts = [one.shared if shared or one.unused is None else one.unused for one in features]
            losses = (losses + discriminator_losses(self.second_discriminator, parts, available)) / 2
        return mean_over(losses, available.any(1).to(losses))

    def _auxiliary_loss(self, outputs: Outputs, y: Tensor) -> Tensor:
        if self.auxiliary is None:
            raise TypeError("there is no auxiliary head")
        halves = []
        for part in ("specific", "shared"):
            placed = [
                _placed(self.auxiliary(getattr(one, part)), torch.nonzero(has).squeeze(1), len(y))
                for one, has in zip(outputs.features, outputs.available.T, strict=True)
            ]
            halves.append(weighted_ce_each(torch.stack(placed, 1), y, self.class_weight, outputs.available))
        return (halves[0] + halves[1]) / 2

    def _nothing(self, x: Tensor) -> tuple[Tensor, Features]:
        half = SIZES[self.options.preset].features // 2
        none = x.new_zeros(0, half)
        return x.new_zeros(0, self.spec.classes), Features(none, none, none)

    def _view(self, found: Features, x: Tensor, wanted: Tensor, available: Tensor) -> View:
        number = len(available)
        same = None
        if self.options.negatives == "distinct" and len(wanted):
            same = torch.zeros(number, number, dtype=torch.bool, device=x.device)
            same[wanted[:, None], wanted[None]] = identical_rows(x)
        return View(_placed(found.shared, wanted, number), available, same)


class _LogitsOnly(nn.Module):
    """One modality from canonical units to logits, for evaluation."""

    def __init__(self, normalise: nn.Module, branch: nn.Module) -> None:
        super().__init__()
        self.normalise = normalise
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.branch(self.normalise(x))[0]
        return logits


def _placed(rows: Tensor, wanted: Tensor, number: int) -> Tensor:
    """Rows (R, D) at their pixels (R,) of (N, D), zeros elsewhere."""
    if len(rows) == number:
        return rows
    return rows.new_zeros(number, rows.shape[1]).index_copy(0, wanted, rows)
