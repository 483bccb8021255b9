"""What an unfinished training is of, so that another one does not go on from it."""

import hashlib
from typing import Final

import numpy as np
from numpy.typing import NDArray

from geocomiss.training.loop import Labelled

REVISION: Final = 2
"""Of methods, splits and training: to be counted up whenever the same request would train to other
weights, so that nothing goes on from, or is compared with, what an earlier state of them began."""


def digest_of(data: Labelled, group: NDArray[np.str_]) -> str:
    """SHA-256 of all that training sees of a table: values, what is valid, classes and groups.

    Args:
        data: N samples.
        group: (N,) their spatial groups, by which they are split.
    """
    digest = hashlib.sha256()
    batch = data.batch
    for tensors in (batch.x, batch.valid, batch.index):
        for name, tensor in tensors.items():
            digest.update(f"{name} {tuple(tensor.shape)}".encode())
            digest.update(np.ascontiguousarray(tensor.numpy()).tobytes())
    for array in (batch.kept.numpy(), data.y.numpy()):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update("\n".join(group.tolist()).encode())
    return digest.hexdigest()
