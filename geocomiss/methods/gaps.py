"""Time steps hidden while training: random gaps, and seasons of which only the start is known.

N pixels, T steps.
"""

import torch
from torch import Tensor

from geocomiss.batch import Batch
from geocomiss.modalities import MODALITIES


def drop_steps(batch: Batch, gaps: float, cut: float, generator: torch.Generator) -> Batch:
    """Hide time steps from some pixels, as clouds and the calendar do.

    Hidden steps are filled like those of real gaps; a modality left with too few is not available.

    Args:
        batch: N pixels.
        gaps: Share of the pixels that lose random steps of the imaging modalities, each modality
            a share of its own drawn between none and all.
        cut: Share of the pixels whose season ends early: all modalities lose every step after a
            random one.
        generator: Source of randomness, on the CPU.
    """
    dynamic = [name for name in batch.modalities if MODALITIES[name].dynamic]
    if not dynamic or not len(batch) or not (gaps or cut):
        return batch
    number, steps, device = len(batch), batch.x[dynamic[0]].shape[1], batch.kept.device
    observed = seasons_cut_short(number, steps, cut, generator)
    gappy = torch.rand(number, 1, generator=generator) < gaps
    keep = {}
    for name in dynamic:
        lost = torch.rand(number, steps, generator=generator) < torch.rand(number, 1, generator=generator)
        seen = observed & ~(gappy & lost) if MODALITIES[name].imaging else observed
        keep[name] = seen.to(device)
    return batch.keep_steps(keep)


def seasons_cut_short(number: int, steps: int, share: float, generator: torch.Generator) -> Tensor:
    """Which steps are known already: (N, T) bool, the first 1 to T - 1 of a share of the pixels."""
    known = torch.randint(1, max(steps, 2), (number, 1), generator=generator)
    short = torch.rand(number, 1, generator=generator) < share
    return ~short | (torch.arange(steps) < known)
