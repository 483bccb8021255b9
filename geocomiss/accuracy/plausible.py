"""Do points lie as their design says? Points in one field, or along the roads, are no random sample.

A chi-square test on where they lie (16 blocks of the map) and, for a simple sample, on which classes.
It finds gross violations only; that a sample passes does not make it a random one.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from geocomiss.accuracy.raster import MapOnDisk, Tally, block_of
from geocomiss.accuracy.reference import USED, Reference
from geocomiss.errors import SampleError

UNLIKELY: Final = 1e-4
"""Chance under which a true random sample would be refused, too."""
EXPECTED: Final = 5.0
"""Points to expect in a group of blocks or classes; smaller ones go together."""


def check_spread(one: MapOnDisk, counted: Tally, reference: Reference, simple: bool) -> None:
    """Refuse points that do not lie as a random sample would.

    Args:
        one: The map.
        counted: Its pixels by class and block.
        reference: The points.
        simple: Whether they are a simple random sample; else one within each class of the map.

    Raises:
        SampleError: They lie together, or prefer classes.
    """
    used = reference.status == USED
    value = reference.located.value[used]
    block = block_of(one.grid, reference.located.row[used], reference.located.col[used])
    pixels = counted.pixels.copy()
    pixels[0] = 0
    drawn = np.bincount(value, minlength=len(pixels))
    expected_of_class = used.sum() * pixels / pixels.sum()
    rate = (expected_of_class if simple else drawn) / np.maximum(pixels, 1)  # points a pixel, by class
    in_blocks = np.bincount(block, minlength=len(counted.blocks))
    if _chance(in_blocks, counted.blocks @ rate) < UNLIKELY:
        raise _refused(reference, "lie together where a random sample would be spread over the map")
    if simple and _chance(drawn, expected_of_class) < UNLIKELY:
        most = int((drawn - expected_of_class).argmax())
        raise _refused(
            reference,
            f"prefer classes: {drawn[most]} of {used.sum()} lie on {one.classes[most]}, where a simple "
            f"random sample would have about {expected_of_class[most]:.0f}",
        )


def _chance(observed: NDArray[np.int64], expected: NDArray[np.float64]) -> float:
    """Chance of counts at least this far from those expected; 1 where there are too few to tell."""
    groups: list[list[float]] = []
    pairs = zip(observed.tolist(), expected.tolist(), strict=True)
    for seen, hoped in sorted(pairs, key=lambda pair: -pair[1]):
        if groups and groups[-1][1] < EXPECTED:
            groups[-1] = [groups[-1][0] + seen, groups[-1][1] + hoped]
        else:
            groups.append([seen, hoped])
    if len(groups) > 1 and groups[-1][1] < EXPECTED:
        last = groups.pop()
        groups[-1] = [groups[-1][0] + last[0], groups[-1][1] + last[1]]
    if len(groups) < 2:
        return 1.0
    statistic = sum((seen - hoped) ** 2 / hoped for seen, hoped in groups if hoped > 0)
    return float(chi2.sf(statistic, len(groups) - 1))


def _refused(reference: Reference, why: str) -> SampleError:
    return SampleError(
        f"the points of '{reference.name}' {why}",
        expected="a probability sample as --design says it",
        todo="check --design and whether all drawn points were labelled, or give --not-a-probability-sample "
        "to see accuracies without areas or intervals",
    )
