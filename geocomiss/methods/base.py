"""What every method offers: logits from what each pixel has, and a loss to train it.

A regression has K = 1: its one "logit" is the predicted value, standardised. There the mean squared
error stands for every cross-entropy and for every divergence of student and teacher.

N pixels, M modalities, K classes.
"""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Final, Literal

import torch
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geocomiss.batch import Batch, Spec
from geocomiss.methods.losses import (
    balanced_weights,
    squared_error,
    squared_error_each,
    weighted_ce,
    weighted_ce_each,
)
from geocomiss.modalities import MODALITIES
from geocomiss.nets import Normalise, Preset

Losses = dict[str, Tensor]
"""Scalar loss terms by name. 'total' is what training minimises; the others are for the log."""

OPTIONS: Final = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)
"""How the options of every method are checked."""

MONITORED: Final = 128
"""Pixels at once where the whole objective is monitored, as many as in a published training batch:
the contrastive loss compares every pixel with every other."""


@dataclass(frozen=True, config=OPTIONS)
class MethodOptions:
    """Choices that all methods share. Validated on construction."""

    preset: Preset = "full"
    """Size of the encoders: 'full' as published, 'small' for a shipped model, 'compact' for a fast student
    of a full one, where the method teaches one."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Share of features dropped in encoders and MLP heads while training."""
    class_weights: Literal["balanced", "none"] = "balanced"
    """Weight of each class in every cross-entropy: n / (K n_c), or 1. Values have no weights."""
    average: float = Field(default=0.0, ge=0, lt=1)
    """Highest decay of a running mean of the weights over training steps, which then predicts in their
    place (in the first steps it is lower); 0 keeps the weights themselves, as the papers do."""


class Method(nn.Module, ABC):
    """A classifier of pixels with missing modalities, or a regression on them.

    In evaluation mode the logits of a pixel are bit-equal whatever other pixels are in the batch
    and in which order, and a pixel without any modality has logits of zeros.

    Args:
        spec: What the method reads.
        options: The choices of this method, an instance of its `options_type`.
    """

    options_type: ClassVar[type[MethodOptions]] = MethodOptions
    """The dataclass of its options."""
    supported: ClassVar[tuple[str, ...]] = tuple(MODALITIES)
    """The modalities it can read; pixels that have none of them get no prediction."""
    additive: ClassVar[bool] = False
    """Whether each modality gives logits by itself, of which pixels get a mean. Those of weather are then
    interpolated between the cells on which it comes (`Batch.around`), so that a map does not show its cells;
    other methods take the cell that a pixel lies in."""

    class_weight: Tensor
    """(K,) weight of each class in the losses; only training needs it, checkpoints do not."""
    target_mean: Tensor
    """() mean of the target where a value is predicted, which only then is there."""
    target_std: Tensor
    """() its standard deviation, likewise."""

    def __init__(self, spec: Spec, options: MethodOptions) -> None:
        super().__init__()
        self.spec = spec
        self.shared_options = options
        self.normalise = nn.ModuleDict({name: Normalise(len(spec.bands[name])) for name in spec.modalities})
        self.register_buffer("class_weight", torch.ones(spec.classes), persistent=False)
        if spec.task == "value":
            self.register_buffer("target_mean", torch.zeros(()))
            self.register_buffer("target_std", torch.ones(()))
        # of loss terms: how far from the label, how far from the teacher
        self.by_label, self.by_teacher = ("ce", "kl") if spec.task == "classes" else ("mse", "distance")

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """Logits (N, K) from the modalities that each pixel has; see `in_units` for a value."""

    @abstractmethod
    def loss(self, batch: Batch, y: Tensor, generator: torch.Generator) -> Losses:
        """The training objective of a batch, in train mode.

        Args:
            batch: N pixels.
            y: (N,) class indices 0..K-1, or values in the target's own unit.
            generator: Source of random modality drop-out, on the CPU.

        Returns:
            Scalars by name, among them 'total'.
        """

    def monitored(self, batch: Batch, y: Tensor) -> Tensor:
        """What early stopping watches, in evaluation mode: by default the loss of the prediction."""
        return self.predictive_loss(self(batch), y)

    def predictive_loss(self, logits: Tensor, y: Tensor, rows: Tensor | None = None) -> Tensor:
        """How wrong predictions are: CE_w of logits (N, K), over the pixels where `rows` (N,).

        Of a regression the squared error of outputs (N, 1), in variances of the target.
        """
        if self.spec.task == "value":
            return squared_error(logits, self.standardised(y), rows)
        return weighted_ce(logits, y, self.class_weight, rows)

    def predictive_loss_each(self, logits: Tensor, y: Tensor, available: Tensor) -> Tensor:
        """The mean over m of CE_w(l_m, y), of logits (N, M, K) where `available` (N, M)."""
        if self.spec.task == "value":
            return squared_error_each(logits, self.standardised(y), available)
        return weighted_ce_each(logits, y, self.class_weight, available)

    def fit_normalisation(self, batch: Batch) -> None:
        """Take mean and standard deviation per band from the valid steps of the training part."""
        for name in self.spec.modalities:
            layer = self.normaliser(name)
            layer.fit(batch.x[name][batch.valid[name]])

    def fit_labels(self, y: Tensor) -> None:
        """Take from the labels (N,) of the training part what losses need to know of them."""
        if self.spec.task == "classes":
            self.fit_class_weights(y)
        else:
            std, mean = torch.std_mean(y.double(), correction=0)
            self.target_mean.copy_(mean)
            self.target_std.copy_(torch.where(std > 0, std, 1.0))

    def fit_class_weights(self, y: Tensor) -> None:
        """Take the class weights of all losses from the labels (N,) of the training part."""
        if self.shared_options.class_weights == "balanced":
            self.class_weight.copy_(balanced_weights(y, self.spec.classes))

    def standardised(self, y: Tensor) -> Tensor:
        """Values (N,) of the target as outputs of the method are, with mean 0 and deviation 1."""
        return (y - self.target_mean) / self.target_std

    def in_units(self, outputs: Tensor) -> Tensor:
        """Values (N,) in the target's unit from outputs (N, 1): the mean where there is no modality."""
        return outputs[:, 0] * self.target_std + self.target_mean

    def softened(self, temperature: float) -> float | None:
        """The temperature of a distillation; None where it compares values instead of logits."""
        return temperature if self.spec.task == "classes" else None

    def parameter_groups(self, rate: float) -> list[dict[str, Any]]:
        """What training changes, and how fast: groups of parameters as optimisers take them."""
        return [{"params": list(self.parameters()), "lr": rate}]

    def normaliser(self, modality: str) -> Normalise:
        """The first layer of a modality, which holds its statistics."""
        layer = self.normalise[modality]
        if not isinstance(layer, Normalise):
            raise TypeError(f"normalise.{modality} is a {type(layer).__name__}")
        return layer


def with_total(terms: Losses) -> Losses:
    """Loss terms and their sum, which training minimises."""
    return {"total": torch.stack(list(terms.values())).sum(), **terms}


def mean_objective(method: Method, batch: Batch, y: Tensor) -> Tensor:
    """The total of a method's losses with the same random subsets each time, for early stopping."""
    generator = torch.Generator().manual_seed(0)
    total = y.new_zeros((), dtype=torch.float32)
    for start in range(0, len(y), MONITORED):
        part = slice(start, start + MONITORED)
        total = total + method.loss(batch[part], y[part], generator)["total"] * len(y[part])
    return total / max(len(y), 1)
