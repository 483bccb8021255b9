"""Where a model may be applied: how unlike its training samples a pixel is."""

from geocomiss.applicability.fitting import learn_applicability
from geocomiss.applicability.measure import Applicability
from geocomiss.applicability.stored import StatedApplicability, problem_of, restored, stated, tensors_of

__all__ = [
    "Applicability",
    "StatedApplicability",
    "learn_applicability",
    "problem_of",
    "restored",
    "stated",
    "tensors_of",
]
