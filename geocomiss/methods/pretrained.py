"""Methods that begin from an encoder which others trained: a linear head on its features.

N pixels, R rows, M modalities, D features, K classes.
"""

from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar

import torch
from pydantic import Field, field_validator
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from geocomiss.batch import Batch, Spec
from geocomiss.errors import MethodError
from geocomiss.methods.base import OPTIONS, Losses, Method, MethodOptions, with_total
from geocomiss.methods.fusion import random_subset
from geocomiss.methods.late import placed, where_kept
from geocomiss.nets import BatchNorm, in_chunks
from geocomiss.pretrained.weights import FRESH, Published, check_there, identity_of, is_path


@dataclass(frozen=True, config=OPTIONS)
class PretrainedOptions(MethodOptions):
    """Choices of a pretrained encoder and its head."""

    published: ClassVar[Published]
    """What a user must obtain."""
    weights: str = FRESH
    """Where training begins: the path of published weights, or 'fresh' for random ones. A model card
    says 'sha256:' and the digest of the file; a trained model needs the file no more."""
    freeze: bool = False
    """Whether the encoder stays as it is and only the head is trained (a linear probe)."""
    head_rate: float = Field(default=10.0, gt=0, le=1000)
    """Learning rate of the head in multiples of that of the training: it begins from nothing."""
    encoder_rate: float = Field(default=1.0, gt=0, le=1000)
    """Learning rate of the encoder likewise, where it is trained."""
    hidden: float = Field(default=0.5, ge=0, le=1)
    """Share of the pixels of a training batch that lose a random subset of their modalities."""

    @field_validator("weights")
    @classmethod
    def _exist(cls, weights: str) -> str:
        """A path that does not exist is said before anything is read or trained."""
        if is_path(weights):
            check_there(Path(weights), cls.published)
        return weights

    @property
    def stated(self) -> str:
        """`weights` as a card says it: the digest in place of a path."""
        return identity_of(Path(self.weights), self.published) if is_path(self.weights) else self.weights

    @property
    def small(self) -> bool:
        """Whether a small encoder is asked for, which only random weights can have."""
        return self.weights == FRESH and self.preset == "small"


class Pretrained(Method):
    """L = CE_w(head(encoder(x_S)), y): one encoder for all modalities, then one linear layer.

    Args:
        spec: What the method reads. Modalities that are not among `supported` are ignored.
        options: Its choices.
        encoder: Under its published names.
        features: Length D of what it gives.
        used: The parameters of the encoder that the features depend on.
    """

    options_type: ClassVar[type[MethodOptions]] = PretrainedOptions
    readable: Tensor
    """(M,) bool, the modalities of the spec that the encoder can read."""

    def __init__(
        self,
        spec: Spec,
        options: PretrainedOptions,
        encoder: nn.Module,
        features: int,
        used: list[nn.Parameter],
    ) -> None:
        super().__init__(spec, options)
        self.options = options
        self.features = features
        self.encoder = encoder.requires_grad_(False)
        for parameter in [] if options.freeze else used:
            parameter.requires_grad_(True)
        dropout = nn.Dropout(options.dropout)
        self.head = nn.Sequential(BatchNorm(features), dropout, nn.Linear(features, spec.classes))
        mask = torch.tensor([name in self.supported for name in spec.modalities])
        self.register_buffer("readable", mask, persistent=False)

    @abstractmethod
    def encode(self, batch: Batch, keep: Tensor) -> Tensor:
        """Features (N, D) of pixels from the modalities where `keep` (N, M), at least one a pixel."""

    @abstractmethod
    def evaluate(self, batch: Batch, keep: Tensor) -> Tensor:
        """The same, each pixel by itself; anything finite where nothing is kept."""

    def forward(self, batch: Batch) -> Tensor:
        """Logits (N, K) from the modalities that each pixel has and the encoder can read."""
        return self._logits(batch, batch.available & self.readable)

    def loss(self, batch: Batch, y: Tensor, generator: torch.Generator) -> Losses:
        """The cross-entropy of the prediction, some pixels with fewer modalities than they have."""
        available = batch.available & self.readable
        some = torch.rand(len(batch), 1, generator=generator) < self.options.hidden
        fewer = random_subset(available, "sample", generator)
        keep = torch.where(some.to(available.device), fewer, available)
        return with_total({"main": self.predictive_loss(self._logits(batch, keep), y, keep.any(1))})

    def parameter_groups(self, rate: float) -> list[dict[str, Any]]:
        """Head and encoder, each at its own rate."""
        encoder = [parameter for parameter in self.encoder.parameters() if parameter.requires_grad]
        head = {"params": list(self.head.parameters()), "lr": rate * self.options.head_rate}
        return [head, {"params": encoder, "lr": rate * self.options.encoder_rate}] if encoder else [head]

    def _logits(self, batch: Batch, keep: Tensor) -> Tensor:
        if not self.training:
            if len(batch) == 0:
                return torch.zeros(0, self.spec.classes, device=keep.device)
            return in_chunks(self._headed, self.evaluate(batch, keep), keep)
        wanted = torch.nonzero(keep.any(1)).squeeze(1)
        features = torch.zeros(0, self.features, device=keep.device)
        if len(wanted):
            with torch.set_grad_enabled(torch.is_grad_enabled() and not self.options.freeze):
                features = self.encode(batch[wanted], keep[wanted])
        return self._headed(placed(features, wanted, len(batch)), keep)

    def _headed(self, features: Tensor, keep: Tensor) -> Tensor:
        return where_kept(self.head, features, keep, self.spec.classes)


def months_of(batch: Batch) -> Tensor:
    """The months 1..12 of the time steps (N, T).

    Raises:
        MethodError: They are not known.
    """
    if batch.months is None or (batch.months == 0).any():
        raise MethodError(
            "time steps of unknown months",
            expected="the months of all steps: this encoder was pretrained with a calendar",
            todo="use a table that tells them, or another method",
        )
    return batch.months
