"""Time steps hidden while training: random gaps, and seasons of which only the start is known.

N pixels, T steps.
"""

import torch
from torch import Tensor

from geocomiss.batch import Batch
from geocomiss.modalities import MODALITIES


def drop_steps(batch: Batch, some: Tensor, cut: float, generator: torch.Generator) -> Batch:
    """Hide time steps from some pixels, as clouds and the calendar do.

    A pixel either loses the end of its season, all that changes over time after a random step; or
    random steps of the imaging modalities, each modality a share of its own between none and all.
    Hidden steps are filled like those of real gaps; a modality left with too few is not available.

    Args:
        batch: N pixels.
        some: (N,) bool, the pixels that lose steps.
        cut: Share of these that lose the end of the season.
        generator: Source of randomness, on the CPU.
    """
    dynamic = [name for name in batch.modalities if MODALITIES[name].dynamic]
    if not dynamic:
        return batch
    number, steps = len(batch), batch.x[dynamic[0]].shape[1]
    short = torch.rand(number, 1, generator=generator) < cut
    begun = ~short | starts_of_seasons(number, steps, generator)
    keep = {}
    for name in dynamic:
        lost = torch.rand(number, steps, generator=generator) < torch.rand(number, 1, generator=generator)
        seen = begun & (short | ~lost) if MODALITIES[name].imaging else begun
        keep[name] = (seen | ~some[:, None].cpu()).to(batch.kept.device)
    return batch.keep_steps(keep)


def starts_of_seasons(number: int, steps: int, generator: torch.Generator) -> Tensor:
    """The first 1 to T - 1 steps of a season, a random number a pixel: (N, T) bool."""
    known = torch.randint(1, max(steps, 2), (number, 1), generator=generator)
    return torch.arange(steps) < known
