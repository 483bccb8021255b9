"""Co-learning of features: each modality's own are kept apart from what modalities share.

N pixels, R rows, T steps, C bands, M modalities, K classes, H half of the features.
Source: MDiCo (Mena et al. 2025); for M > 2 and for missing modalities the choices are ours.
"""

from dataclasses import dataclass as plain_dataclass
from typing import ClassVar, Literal

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geocomiss.batch import Batch, Spec
from geocomiss.methods.base import OPTIONS, Losses, MethodOptions, mean_objective
from geocomiss.methods.features import (
    FeaturePair,
    Features,
    OneEncoder,
    View,
    contrastive_losses,
    discriminator_losses,
    view_of,
)
from geocomiss.methods.fusion import Fusion, fusion_of
from geocomiss.methods.late import LateFusion, LogitNorm, logit_norm, nothing, placed
from geocomiss.methods.losses import mean_over
from geocomiss.nets import SIZES, MLPHead


@dataclass(frozen=True, config=OPTIONS)
class SeparatedOptions(MethodOptions):
    """Choices for features, the first value of each being the default."""

    contrastive: Literal["mean", "sum", "per-modality", "none"] = "mean"
    """NT-Xent over pairs of modalities: mean, sum over ordered pairs, that sum / M, or left out."""
    discriminated: Literal["specific", "specific+unused", "specific+shared", "none"] = "specific"
    """Features from which a discriminator tells the modality."""
    logit_norm: LogitNorm = "none"
    """Normalisation of each modality's logits before they are averaged."""
    fusion: Fusion = "logits"
    """What is averaged over the available modalities."""
    auxiliary: bool = False
    """Whether specific and shared features are also classified on their own while training."""
    contrastive_temperature: float = Field(default=0.1, gt=0)
    """Temperature of NT-Xent."""
    head: Literal["linear", "mlp"] = "linear"
    """Classifier of each modality."""
    unused: Literal["dropped", "kept"] = "dropped"
    """The unused half of the features; built anyway where a discriminator reads it."""
    monitor: Literal["ce", "total"] = "ce"
    """What early stopping watches: the CE of the fused prediction, or the whole objective."""
    negatives: Literal["distinct", "all"] = "distinct"
    """Contrastive negatives: only pixels with other input (weather cells repeat), or all."""
    encoders: Literal["pair", "one"] = "pair"
    """An encoder each for specific and shared features, or one whose features are both: then no
    half of them is unused."""


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

    def first(self, number: int) -> "Outputs":
        """Those of the first pixels of the batch."""
        rows = self.available[:number].sum(0).tolist()
        return Outputs(
            self.available[:number],
            self.logits[:number],
            self.full[:number],
            [one.first(held) for one, held in zip(self.features, rows, strict=True)],
            [one.first(number) for one in self.views],
        )


class Branch(nn.Module):
    """The part of a model that sees one modality.

    Args:
        modality: Key in `MODALITIES`.
        spec: What the method reads.
        options: Choices.
    """

    def __init__(self, modality: str, spec: Spec, options: SeparatedOptions) -> None:
        super().__init__()
        self.features = _features_of(modality, spec.shape(modality), options)
        mlp = options.head == "mlp"
        width = self.features.width
        self.head = MLPHead(width, spec.classes, options.dropout) if mlp else nn.Linear(width, spec.classes)
        self.norm = logit_norm(options.logit_norm, spec.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (R, K) of normalised rows (R, T, C)."""
        return self.classify(self.features(x))

    def classify(self, features: Features) -> Tensor:
        """Logits (R, K) of specific and shared features."""
        logits: Tensor = self.norm(self.head(self.features.together(features)))
        return logits


def _features_of(
    modality: str, shape: tuple[int, int], options: SeparatedOptions
) -> FeaturePair | OneEncoder:
    size = SIZES[options.preset]
    if options.encoders == "one":
        return OneEncoder(modality, shape, size, options.dropout)
    unused = options.unused == "kept" or options.discriminated == "specific+unused"
    return FeaturePair(modality, shape, size, options.dropout, unused)


class Separated(LateFusion):
    """Separated features and a prediction a modality; subclasses say what is predicted from them."""

    options_type: ClassVar[type[MethodOptions]] = SeparatedOptions
    additive: ClassVar[bool] = True

    def __init__(self, spec: Spec, options: SeparatedOptions) -> None:
        branches = {name: Branch(name, spec, options) for name in spec.modalities}
        super().__init__(spec, options, nn.ModuleDict(branches), spec.classes)
        self.separation = options
        self.fused = fusion_of(options.fusion, spec.task)
        half = next(iter(branches.values())).features.split
        modalities = len(spec.modalities)
        first = options.discriminated != "none"
        self.discriminator = nn.Linear(half, modalities) if first else None
        second = options.discriminated in ("specific+unused", "specific+shared")
        self.second_discriminator = nn.Linear(half, modalities) if second else None
        self.auxiliary = nn.Linear(half, spec.classes) if options.auxiliary else None

    def fuse(self, each: Tensor, keep: Tensor) -> Tensor:
        """The mean of the predictions that are kept."""
        return self.fused(each, keep)

    def monitored(self, batch: Batch, y: Tensor) -> Tensor:
        """The CE of the fused prediction, or the whole objective."""
        if self.separation.monitor == "ce":
            return super().monitored(batch, y)
        return mean_objective(self, batch, y)

    def outputs(self, batch: Batch) -> Outputs:
        """Encode every pixel once with all it has; losses re-use this for every subset."""
        logits, features, views = [], [], []
        distinct = self.separation.negatives == "distinct"
        for part in self.present(batch):
            found = self._features(part.name, part.x)
            own = self._branch(part.name).classify(found) if len(part.wanted) else nothing(part.x, self.width)
            logits.append(placed(own, part.wanted, len(batch)))
            features.append(found)
            views.append(view_of(found.shared, part.wanted, len(batch), part.x if distinct else None))
        available, each = batch.available, torch.stack(logits, 1)
        return Outputs(available, each, self.fuse(each, available), features, views)

    def feature_losses(self, outputs: Outputs, y: Tensor) -> Losses:
        """Specific features tell the modality, shared ones the pixel, and each the class on its own."""
        terms: Losses = {}
        if self.discriminator is not None:
            terms["modality"] = self._modality_loss(outputs, self.discriminator)
        if pairs := self._pairs(outputs):
            # each pair stands for two ordered ones
            scale = {"mean": 1 / len(pairs), "sum": 2.0, "per-modality": 2 / len(outputs.views)}
            terms["contrastive"] = torch.stack(pairs).sum() * scale[self.separation.contrastive]
        if self.auxiliary is not None:
            terms["auxiliary"] = self._auxiliary_loss(outputs, y, self.auxiliary)
        return terms

    def _pairs(self, outputs: Outputs) -> list[Tensor]:
        """NT-Xent of every pair of modalities that occurs, nothing where it is not wanted."""
        if self.separation.contrastive == "none":
            return []
        return contrastive_losses(outputs.views, self.separation.contrastive_temperature)

    def _modality_loss(self, outputs: Outputs, first: nn.Module) -> Tensor:
        available, features = outputs.available, outputs.features
        losses = discriminator_losses(first, [one.specific for one in features], available)
        if self.second_discriminator is not None:
            shared = self.separation.discriminated == "specific+shared"
            parts = [one.shared if shared or one.unused is None else one.unused for one in features]
            losses = (losses + discriminator_losses(self.second_discriminator, parts, available)) / 2
        return mean_over(losses, available.any(1).to(losses))

    def _auxiliary_loss(self, outputs: Outputs, y: Tensor, head: nn.Module) -> Tensor:
        """The mean over m of (CE_w(A(s_m), y) + CE_w(A(h_m), y)) / 2."""
        halves = []
        for part in ("specific", "shared"):
            rows = [
                placed(head(getattr(one, part)), torch.nonzero(has).squeeze(1), len(y))
                for one, has in zip(outputs.features, outputs.available.T, strict=True)
            ]
            halves.append(self.predictive_loss_each(torch.stack(rows, 1), y, outputs.available))
        return (halves[0] + halves[1]) / 2

    def _features(self, name: str, x: Tensor) -> Features:
        branch = self._branch(name)
        if len(x):
            found: Features = branch.features(x)
            return found
        none = nothing(x, branch.features.split)
        return Features(none, none, none)

    def _branch(self, name: str) -> Branch:
        branch = self.branches[name]
        if not isinstance(branch, Branch):
            raise TypeError(f"branches.{name} is a {type(branch).__name__}")
        return branch
