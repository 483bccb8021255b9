"""Under which conditions test samples are predicted; each takes something away from them, or spoils it."""

from geocomiss.benchmarking.conditions.base import Case, Condition, month_conditions, pattern_conditions
from geocomiss.benchmarking.conditions.corruption import corruption_conditions
from geocomiss.benchmarking.conditions.gaps import gap_conditions

__all__ = [
    "Case",
    "Condition",
    "corruption_conditions",
    "gap_conditions",
    "month_conditions",
    "pattern_conditions",
]
