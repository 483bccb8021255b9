"""How many points each class of a map gets in a validation sample.

Formulas after Cochran (1977, sections 5.5 to 5.9), as Olofsson et al. (2014, section 5.1) use them for
overall accuracy: with shares W of the area, expected user's accuracies U, S = sqrt(U (1 - U)), and
n_h = n a_h points in stratum h of N pixels in all,

    V(overall accuracy) = sum(W^2 S^2 / (n a)) - sum(W S^2) / N.

H strata.
"""

from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from geocomiss.errors import SampleError

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

Allocation = Literal["proportional", "equal", "neyman"]
"""By area, the same for each class, or by area times expected standard deviation."""
FEWEST: Final = 2
"""Points of a stratum without which its standard error cannot be known."""


def shares(pixels: Ints, expected: Doubles, allocation: Allocation) -> Doubles:
    """Share of the points that each stratum gets, (H,), before a least number.

    Args:
        pixels: (H,) pixels of each stratum.
        expected: (H,) expected user's accuracy.
        allocation: The rule.
    """
    rules = {
        "proportional": pixels / 1.0,
        "equal": np.ones(len(pixels)),
        "neyman": pixels * np.sqrt(expected * (1 - expected)),
    }
    rule = rules[allocation]
    return np.asarray(rule / rule.sum())


def expected_se(points: Ints, pixels: Ints, expected: Doubles) -> float:
    """Standard error of overall accuracy to expect from (H,) points."""
    weight, variance = pixels / pixels.sum(), expected * (1 - expected)
    return float(np.sqrt((weight**2 * variance * (1 / points - 1 / pixels)).sum()))


def size_for(target: float, pixels: Ints, expected: Doubles, allocation: Allocation) -> int:
    """Points needed for a standard error of overall accuracy."""
    weight, variance = pixels / pixels.sum(), expected * (1 - expected)
    part = shares(pixels, expected, allocation)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.where(variance > 0, weight**2 * variance / part, 0).sum()
    return int(np.ceil(spread / (target**2 + (weight * variance).sum() / pixels.sum())))


def allocate(n: int, pixels: Ints, part: Doubles, at_least: int) -> Ints:
    """Points of each stratum, (H,): by shares, with a least number, never more than it has pixels.

    Args:
        n: Points in all.
        pixels: (H,) pixels of each stratum.
        part: (H,) share of each stratum.
        at_least: Points that each stratum gets at least, where it has as many pixels.

    Raises:
        SampleError: Too few points for that, or more than there are pixels.
    """
    least = np.minimum(at_least, pixels)
    if not least.sum() <= n <= pixels.sum():
        raise SampleError(
            f"{n:,} points for {len(pixels)} classes of {pixels.sum():,} pixels",
            expected=f"{least.sum():,} to {pixels.sum():,} points, at least {at_least} a class",
            todo="change --n or --min-per-class",
        )
    points = least.copy()
    wish = np.clip(n * part, least, pixels)
    # what strata with a least number or few pixels do not take goes to the others, by their shares
    low, high = 0.0, float(pixels.sum()) / max(part[part > 0].min(), 1e-12)
    for _ in range(200):
        middle = (low + high) / 2
        wish = np.clip(middle * part, least, pixels)
        low, high = (middle, high) if wish.sum() < n else (low, middle)
    points = np.floor(wish + 1e-9).astype(np.int64)
    rest = np.argsort(-(wish - points), kind="stable")
    while points.sum() < n:  # largest remainders, then wherever there is room
        for one in rest:
            if points.sum() < n and points[one] < pixels[one]:
                points[one] += 1
    return points
