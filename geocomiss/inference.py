"""From logits to what a map shows: class, confidence, and the modalities that were used."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geocomiss.batch import Batch
from geocomiss.errors import MapError
from geocomiss.modalities import MODALITIES

if TYPE_CHECKING:
    from geocomiss.methods.base import Method

PIXELS_AT_ONCE: Final = 8192
"""Pixels handed to a method at a time: bounds the memory that activations take."""


@dataclass(frozen=True)
class Prediction:
    """What is said of N pixels."""

    value: NDArray[np.uint8]
    """(N,) class value 1..K, 0 where no modality was available."""
    confidence: NDArray[np.float32]
    """(N,) probability of that class, 0..1; 0 where no modality was available."""
    modalities: NDArray[np.uint8]
    """(N,) bit field of the modalities used: 1 optical, 2 radar, 4 weather, 8 topography."""
    probabilities: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """(N, K) probability of each class, 0 where no modality was available; (0, 0) where not asked for."""


def predict(
    method: "Method",
    batch: Batch,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] | None = None,
    probabilities: bool = False,
) -> Prediction:
    """Classify N pixels from whatever modalities each has.

    Args:
        method: A trained method.
        batch: N pixels.
        device: Where to compute.
        progress: Told the number of pixels just done.
        probabilities: Whether to keep those of all classes.
    """
    method.to(device).eval()
    values, confidences, kept = [], [], []
    with torch.inference_mode():
        for start in range(0, len(batch), PIXELS_AT_ONCE):
            part = batch[start : start + PIXELS_AT_ONCE].to(device)
            shares = torch.softmax(method(part), 1)
            best = shares.max(1)
            some = part.available.any(1)
            if probabilities:
                kept.append((shares * some[:, None]).float().cpu())
            values.append(((best.indices + 1) * some).to(torch.uint8).cpu())
            confidences.append((best.values * some).float().cpu())
            if progress:
                progress(len(part))
    return Prediction(
        _array(values, np.dtype(np.uint8)),
        _array(confidences, np.dtype(np.float32)),
        bit_field(batch),
        torch.cat(kept).numpy() if kept else np.zeros((0, 0), np.float32),
    )


def bit_field(batch: Batch) -> NDArray[np.uint8]:
    """The modalities available at each pixel as bits: (N,)."""
    bits = torch.tensor([MODALITIES[name].bit for name in batch.modalities])
    return np.asarray((batch.available.cpu() * bits).sum(1).to(torch.uint8).numpy())


def device_named(name: str) -> torch.device:
    """The device called 'auto', 'cpu', 'cuda' or 'cuda:1'.

    Raises:
        MapError: It does not exist on this machine.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return nn.Parameter(torch.zeros(1, device=name)).device
    except (RuntimeError, AssertionError) as error:
        raise MapError(
            f"the device {name!r} cannot be used ({str(error).splitlines()[0]})",
            expected="auto, cpu, cuda or cuda:N",
            todo="correct --device",
        ) from error


def _array(parts: list[Tensor], dtype: np.dtype) -> NDArray:  # type: ignore[type-arg]
    return np.concatenate([part.numpy() for part in parts]) if parts else np.zeros(0, dtype)
