"""The published-size Co-Miss in benchmarks: what it reads, pixels, the operations that a pixel takes."""

import numpy as np

from geocomiss.batch import Batch, Spec, batch_of_values, default_min_steps
from geocomiss.modalities import MODALITIES
from geocomiss.nets import SIZES

CELLS = 4
"""Weather cells that pixels lie in."""
BANDS = {name: modality.band_names for name, modality in MODALITIES.items()}
SPEC = Spec(BANDS, 12, 11, default_min_steps(tuple(BANDS), 12))


def full_batch(number: int) -> Batch:
    """Pixels that have everything."""
    rng = np.random.default_rng(0)
    counts = {name: CELLS if name == "weather" else number for name in MODALITIES}
    values = {
        name: rng.uniform(0.1, 0.9, (count, *SPEC.shape(name))).astype(np.float32)
        for name, count in counts.items()
    }
    index = {"weather": np.arange(number) % CELLS}
    return batch_of_values(values, SPEC, months=np.arange(1, 13), index=index)


def operations_of_a_pixel() -> int:
    """Floating-point operations a pixel of the encoders of optical and radar, specific and shared.

    As convolutions are counted: five taps at every step, also beyond the ends (a tenth of the taps, 7 %
    of all operations). The rest of the network is not counted.
    """
    size, total = SIZES["full"], 0
    for name in ("optical", "radar"):
        width, bands = size.convolution, len(BANDS[name])
        convolutions = 12 * 5 * (bands * width + 2 * width * width)
        total += 2 * (convolutions + 12 * width * size.dense + size.dense * size.features)
    return 2 * total
