"""Features that MDiCo separates: specific to a modality, shared between modalities, unused.

R rows, T steps, C bands, D features, H = D / 2, M modalities, K classes.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from geocomiss.methods.late import placed
from geocomiss.methods.losses import nt_xent
from geocomiss.nets import BatchNorm, EncoderSize, encoder_of


@dataclass(frozen=True)
class Features:
    """What two encoders make of R rows of one modality."""

    specific: Tensor
    """(R, H) known to this modality alone."""
    shared: Tensor
    """(R, H) what other modalities see too."""
    unused: Tensor | None
    """(R, H) the rest, for the discriminator only; None where it is not built."""

    def first(self, number: int) -> "Features":
        """Those of the first rows."""
        unused = None if self.unused is None else self.unused[:number]
        return Features(self.specific[:number], self.shared[:number], unused)


class FeaturePair(nn.Module):
    """Two encoders of one modality that start with the same weights: R rows to specific and shared.

    One gives specific (and unused) features, the other shared ones through a projection.
    Source: MDiCo (Mena et al. 2025).

    Args:
        modality: Key in `MODALITIES`.
        shape: (T, C).
        size: Widths of the encoders.
        dropout: Share of features dropped while training.
        unused: Whether the unused half is built.
    """

    def __init__(
        self, modality: str, shape: tuple[int, int], size: EncoderSize, dropout: float, unused: bool
    ) -> None:
        super().__init__()
        half = size.features // 2
        self.own = encoder_of(modality, shape, size, dropout, size.features if unused else half)
        self.common = encoder_of(modality, shape, size, dropout)
        self.project = nn.Sequential(nn.Linear(size.features, half), BatchNorm(half), nn.ReLU())
        self.split = half
        self.width = 2 * half
        self._start_alike()

    def forward(self, x: Tensor) -> Features:
        """Features of normalised rows (R, T, C)."""
        own = self.own(x)
        unused = own[:, self.split :] if own.shape[1] > self.split else None
        return Features(own[:, : self.split], self.project(self.common(x)), unused)

    def together(self, features: Features) -> Tensor:
        """What the classifier reads: (R, 2H)."""
        return torch.cat([features.specific, features.shared], 1)

    def _start_alike(self) -> None:
        common = self.common.state_dict()
        # without the unused half the last layer of `own` has only the first rows of the other's
        self.own.load_state_dict(
            {name: common[name][: len(tensor)] if tensor.ndim else common[name]
             for name, tensor in self.own.state_dict().items()}
        )  # fmt: skip


class OneEncoder(nn.Module):
    """A single encoder of a modality, whose features are specific and shared at once.

    The pair without its separation, for comparison: all D features feed the classifier and every
    loss on features, so that H is D here.

    Args:
        modality: Key in `MODALITIES`.
        shape: (T, C).
        size: Widths of the encoder.
        dropout: Share of features dropped while training.
    """

    def __init__(self, modality: str, shape: tuple[int, int], size: EncoderSize, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder_of(modality, shape, size, dropout)
        self.split = self.width = size.features

    def forward(self, x: Tensor) -> Features:
        """Features of normalised rows (R, T, C)."""
        features = self.encoder(x)
        return Features(features, features, None)

    def together(self, features: Features) -> Tensor:
        """What the classifier reads: (R, D)."""
        return features.specific


def discriminator_losses(head: nn.Module, parts: list[Tensor], available: Tensor) -> Tensor:
    """How badly a head tells from features which modality they come from, per pixel: (N,).

    The mean over the modalities that a pixel has; 0 where it has none.

    Args:
        head: Maps (R, H) to (R, M).
        parts: Per modality, features (R_m, H) of the pixels that have it, in order.
        available: (N, M) bool.
    """
    columns = []
    for column, part in enumerate(parts):
        target = torch.full((len(part),), column, device=part.device)
        losses = F.cross_entropy(head(part), target, reduction="none")
        rows = torch.nonzero(available[:, column]).squeeze(1)
        columns.append(placed(losses[:, None], rows, len(available)))
    return torch.cat(columns, 1).sum(1) / available.sum(1).clamp(min=1)


def identical_rows(x: Tensor) -> Tensor:
    """Which rows of (R, ...) are equal, bit for bit (missing values equal each other): (R, R) bool."""
    flat = torch.nan_to_num(x.flatten(1))
    _, kind = torch.unique(flat, dim=0, return_inverse=True)
    same: Tensor = kind[:, None] == kind[None]
    return same


@dataclass(frozen=True)
class View:
    """The shared features of one modality in a batch, for the contrastive loss."""

    shared: Tensor
    """(N, H); rows where the modality is not available are ignored."""
    available: Tensor
    """(N,) bool."""
    same: Tensor | None
    """(N, N) bool, pixels with identical input; None where that is not asked for."""

    def first(self, number: int) -> "View":
        """That of the first pixels."""
        same = None if self.same is None else self.same[:number, :number]
        return View(self.shared[:number], self.available[:number], same)


def view_of(shared: Tensor, wanted: Tensor, number: int, x: Tensor | None) -> View:
    """The view that R of the N pixels of a batch give.

    Args:
        shared: (R, H).
        wanted: (R,) the pixels.
        number: N.
        x: (R, ...) the input, where pixels with identical input are to be known.
    """
    available = torch.zeros(number, dtype=torch.bool, device=shared.device)
    available[wanted] = True
    same = None
    if x is not None and len(wanted):
        same = torch.zeros(number, number, dtype=torch.bool, device=shared.device)
        same[wanted[:, None], wanted[None]] = identical_rows(x)
    return View(placed(shared, wanted, number), available, same)


def contrastive_losses(views: list[View], temperature: float) -> list[Tensor]:
    """NT-Xent of every pair of modalities, on the pixels that have both.

    Pairs that no pixel has are left out. NT-Xent is symmetric, so (i, j) stands for (j, i) too.
    """
    losses = []
    for i, one in enumerate(views):
        for other in views[i + 1 :]:
            both = one.available & other.available
            if not both.any():
                continue
            same = None
            if one.same is not None and other.same is not None:
                # input identical in either view: there the two pixels cannot be told apart
                same = (one.same | other.same)[both][:, both]
            losses.append(nt_xent(one.shared[both], other.shared[both], temperature, same))
    return losses
