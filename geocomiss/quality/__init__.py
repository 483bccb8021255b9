"""The quality of samples: labels that look wrong, classes out of balance, places that repeat each other."""

from geocomiss.quality.check import CheckRequest, check_samples
from geocomiss.quality.report import check_out, write_check
from geocomiss.quality.result import Checked, ClassChecked, Suspicion

__all__ = [
    "CheckRequest",
    "Checked",
    "ClassChecked",
    "Suspicion",
    "check_out",
    "check_samples",
    "write_check",
]
