"""Whether a model has learnt from samples that it is judged by.

N samples.
"""

from typing import Final

from geocomiss.footprint import Footprint
from geocomiss.samples.table import Samples

BY_CHANCE: Final = 0.001
"""Share of samples that hashes may take for training ones by mistake (see `geocomiss.footprint`)."""


def learnt_from(places: Footprint, samples: Samples, model: str = "the model") -> str:
    """How many of N samples lie where a model was trained, in words; '' where none do.

    Another file of the same points, or a part of one, has another digest: their places tell.

    Args:
        places: Where the model's training samples lie.
        samples: Those it is judged by.
        model: Who learnt, in words.
    """
    seen = int(places.covers(samples.lat, samples.lon).sum())
    if seen <= BY_CHANCE * len(samples):
        return ""
    return (
        f"{seen} of {len(samples)} samples of {samples.name} lie on, or next to, pixels that {model} "
        "was trained on"
    )
