"""Samples as the batch that methods see, by the same road as the pixels of a map."""

import numpy as np
import torch
from torch import Tensor

from geocomiss.batch import Batch, Spec, batch_of_values, default_min_steps
from geocomiss.errors import SampleError
from geocomiss.samples.table import Samples


def spec_of(samples: Samples, classes: int) -> Spec:
    """What a method that is to be trained on a table reads: all that it has.

    Args:
        samples: The table.
        classes: Number of classes; of no account where there is a target.
    """
    steps = samples.months.shape[1]
    wanted = default_min_steps(tuple(samples.bands), steps)
    outputs = 1 if samples.task == "value" else classes
    return Spec(samples.bands, steps, outputs, wanted, samples.recipe.screened, samples.task)


def batch_of_samples(samples: Samples, spec: Spec) -> Batch:
    """All samples as one batch, pixel i being sample i.

    A modality that the table does not have is missing at every pixel.

    Raises:
        SampleError: A modality lacks a band that the spec reads, or the number of steps differs.
    """
    values = {}
    for name in spec.modalities:
        if name not in samples.values:
            continue
        have = samples.bands[name]
        if lacking := [band for band in spec.bands[name] if band not in have]:
            raise SampleError(
                f"{name} of {samples.name} has no {', '.join(lacking)}",
                expected=f"the bands {', '.join(spec.bands[name])}, which the model reads",
                todo="use a table with these bands, or train a model without them",
            )
        values[name] = samples.values[name][..., [have.index(band) for band in spec.bands[name]]]
        if values[name].shape[1:] != spec.shape(name):
            raise SampleError(
                f"{name} of {samples.name} has {values[name].shape[1]} steps",
                expected=f"{spec.shape(name)[0]}, as the model was trained on",
                todo="use a table with the model's steps",
            )
    kept = np.ones((len(samples), len(spec.modalities)), bool)
    return batch_of_values(values, spec, kept=kept)


def truth_of(samples: Samples, classes: tuple[str, ...]) -> Tensor:
    """What is to be learnt (N,): class indices 0..K-1 (int64), or values of the target (float32)."""
    if samples.target is None:
        return indices_of(samples, classes)
    return torch.from_numpy(samples.target.astype(np.float32))


def indices_of(samples: Samples, classes: tuple[str, ...]) -> Tensor:
    """Class index 0..K-1 of each sample (N,). Raises KeyError for a label that is no class."""
    places = {name: place for place, name in enumerate(classes)}
    return torch.tensor([places[str(label)] for label in samples.labels])
