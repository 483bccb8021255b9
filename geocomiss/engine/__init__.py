"""Trained networks made fast for prediction: folded batch norms, bfloat16 where it is fast.

The published-size Co-Miss was measured from values to class and confidence beside the best matrix product
of the same run, see `tests/benchmarks/test_inference_speed.py`.
"""

from typing import Final

from geocomiss.engine.encoders import FoldedPair, FoldedStatic, FoldedTempCNN
from geocomiss.engine.precision import Precision, Wanted, fast_bfloat16, precision_of
from geocomiss.engine.prepare import prepared

ARITHMETIC: Final = 3
"""One more whenever the same weights and values give other bits: a map is never made from two kinds."""

__all__ = [
    "ARITHMETIC",
    "FoldedPair",
    "FoldedStatic",
    "FoldedTempCNN",
    "Precision",
    "Wanted",
    "fast_bfloat16",
    "precision_of",
    "prepared",
]
