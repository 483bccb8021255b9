"""From logits to what a map shows: class, confidence, and the modalities that were used."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geocomiss.applicability import Applicability
from geocomiss.batch import Batch
from geocomiss.calibration import Readout
from geocomiss.calibration.views import codes_of
from geocomiss.errors import MapError
from geocomiss.modalities import MODALITIES
from geocomiss.staging import parts

if TYPE_CHECKING:
    from geocomiss.methods.base import Method


@dataclass(frozen=True)
class Prediction:
    """What is said of N pixels."""

    value: NDArray[np.uint8]
    """(N,) class value 1..K, 0 where no modality was available."""
    confidence: NDArray[np.float32]
    """(N,) probability of that class, 0..1; 0 where no modality was available."""
    modalities: NDArray[np.uint8]
    """(N,) bit field of the modalities used: 1 optical, 2 radar, 4 weather, 8 topography."""
    expected: NDArray[np.float32] | None = None
    """(N,) expected accuracy of that class, 0..1; None where it is not known."""
    probabilities: NDArray[np.float32] | None = None
    """(N, K) probability of each class, 0 where no modality was available; None where not asked for."""
    dissimilarity: NDArray[np.float32] | None = None
    """(N,) see `dissimilarity_of`; None where not asked for."""


def predict(
    method: "Method",
    batch: Batch,
    device: torch.device | str = "cpu",
    progress: Callable[[int], None] | None = None,
    readout: Readout = Readout(),
    probabilities: bool = False,
) -> Prediction:
    """Classify N pixels from whatever modalities each has.

    Args:
        method: A trained method.
        batch: N pixels.
        device: Where to compute.
        progress: Told the number of pixels just done.
        readout: How its logits are read; by default uncalibrated.
        probabilities: Whether to keep those of all classes.
    """
    method.to(device).eval()
    values, confidences, expected, kept = [], [], [], []
    with torch.inference_mode():
        for part in parts(batch, device):
            logits = method(part)
            said = readout.read(logits, part)
            some = part.available.any(1)
            values.append(((said.index + 1) * some).to(torch.uint8))
            confidences.append((said.confidence * some).float())
            right = readout.expected_accuracy(said.index, part)
            expected += [] if right is None else [(right * some).float()]
            if probabilities:
                shares = readout.probabilities(logits, codes_of(part))
                kept.append((shares * some[:, None]).float())
            if progress:
                progress(len(part))
    floats = np.dtype(np.float32)
    return Prediction(
        _array(values, np.dtype(np.uint8)),
        _array(confidences, floats),
        bit_field(batch),
        _array(expected, floats) if readout.knows_accuracy else None,
        torch.cat(kept).cpu().numpy() if kept else None,
    )


def joined(predictions: list[Prediction]) -> Prediction:
    """Of several predictions one of all their pixels, in order; at least one."""
    columns: list[Any] = []
    for each in fields(Prediction):
        values = [getattr(one, each.name) for one in predictions]
        columns.append(None if values[0] is None else np.concatenate(values))
    return Prediction(*columns)


def dissimilarity_of(
    applicability: Applicability, batch: Batch, device: torch.device | str = "cpu"
) -> NDArray[np.float32]:
    """How unlike the training samples N pixels are: above 1 they lie outside the area of applicability.

    NaN where no modality is available.

    Args:
        applicability: Of the model.
        batch: N pixels.
        device: Where to compute.
    """
    with torch.inference_mode():
        found = [applicability.index(part) for part in parts(batch, device)]
    return _array(found, np.dtype(np.float32))


def bit_field(batch: Batch) -> NDArray[np.uint8]:
    """The modalities available at each pixel as bits: (N,)."""
    bits = torch.tensor([MODALITIES[name].bit for name in batch.modalities])
    return np.asarray((batch.available.cpu() * bits).sum(1).to(torch.uint8).numpy())


def device_named(name: str, process: int = 0) -> torch.device:
    """The device called 'auto', 'cpu', 'cuda' or 'cuda:1'.

    Args:
        name: What it is called.
        process: The number of this process among those of the machine that compute side by side: 'auto'
            and 'cuda' give each the GPU whose turn it is.

    Raises:
        MapError: It does not exist on this machine.
    """
    graphics = torch.cuda.device_count()
    if graphics and name in ("auto", "cuda"):
        name = f"cuda:{process % graphics}"
    if name == "auto":
        return torch.device("cpu")
    try:
        return nn.Parameter(torch.zeros(1, device=name)).device
    except (RuntimeError, AssertionError) as error:
        raise no_device(name, error) from error


def no_device(name: str, error: Exception) -> MapError:
    """What to say of a device that does not exist."""
    return MapError(
        f"the device {name!r} cannot be used ({str(error).splitlines()[0]})",
        expected="auto, cpu, cuda or cuda:N",
        todo="correct --device",
    )


def _array(found: list[Tensor], dtype: np.dtype) -> NDArray:  # type: ignore[type-arg]
    return np.asarray(torch.cat(found).cpu().numpy()) if found else np.zeros(0, dtype)
