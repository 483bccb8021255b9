"""The worked examples of Olofsson et al. (2014) and Stehman (2014)."""

import numpy as np
import pytest
from numpy.typing import NDArray

from geocomiss.accuracy.estimate import Drawn, weigh
from geocomiss.accuracy.figures import Points, figures_of
from geocomiss.accuracy.request import Figures

OLOFSSON = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]])
"""Counts; rows map, columns reference: deforestation, forest gain, stable forest, stable non-forest."""
PIXELS = np.array([200_000, 150_000, 3_200_000, 6_450_000])
HECTARES = 0.09
STRATA = np.array([40_000, 30_000, 20_000, 10_000])
MAPPED = "AAAAAAABBB ABBBBBBBBB BBCCCCCCBB DDDDDDDDDD"
FOUND = "AAAAACBABC ABBBBBAABB CCCCCDDBBA DDDDDDDCCB"


def figures(
    mapped: NDArray[np.int64], found: NDArray[np.int64], stratum: NDArray[np.int64],
    pixels: NDArray[np.int64], hectares: float, mapped_ha: NDArray[np.float64],
) -> Figures:  # fmt: skip
    n = np.bincount(stratum)
    weight = weigh(stratum, pixels * hectares, np.full(len(stratum), hectares))
    classes = np.arange(4)
    points = Points(
        mapped[:, None] == classes, found[:, None] == classes,
        Drawn(stratum, np.arange(len(stratum)), weight, n / pixels),
        tuple("ABCD"), ("#000000",) * 4, probability_sample=True, clustered=False,
    )  # fmt: skip
    return figures_of(points, "all", np.ones(len(stratum), bool), mapped_ha)


@pytest.fixture
def olofsson() -> Figures:
    mapped, found = (np.repeat(np.indices((4, 4))[axis].ravel(), OLOFSSON.ravel()) for axis in (0, 1))
    return figures(mapped, found, mapped, PIXELS, HECTARES, PIXELS * HECTARES)


@pytest.fixture
def stehman() -> Figures:
    mapped, found = (np.array([ord(each) - ord("A") for each in text.replace(" ", "")]) for text in
                     (MAPPED, FOUND))  # fmt: skip
    return figures(mapped, found, np.repeat(np.arange(4), 10), STRATA, 1.0, np.full(4, 25_000.0))


def test_areas_of_olofsson_2014(olofsson: Figures) -> None:
    areas = [each.area for each in olofsson.classes]
    assert [round(area.hectares) for area in areas if area] == [21158, 11686, 285770, 581386]
    halves = [round((area.normal[1] - area.normal[0]) / 2) for area in areas if area]
    assert halves == pytest.approx([6158, 3756, 15510, 16282], abs=1)


def test_accuracies_of_olofsson_2014(olofsson: Figures) -> None:
    overall = olofsson.overall
    assert (round(overall.value, 3), round(1.96 * (overall.se or 0), 3)) == (0.947, 0.018)
    users = [(round(each.users.value, 2), round(1.96 * (each.users.se or 0), 2)) for each in olofsson.classes]
    assert users == [(0.88, 0.07), (0.73, 0.10), (0.93, 0.04), (0.96, 0.02)]
    assert [round(each.producers.value, 2) for each in olofsson.classes] == [0.75, 0.85, 0.93, 0.96]


def test_the_example_of_stehman_2014(stehman: Figures) -> None:
    b = stehman.classes[1]
    assert (stehman.overall.value, stehman.overall.se) == pytest.approx((0.63, 0.085), abs=5e-4)
    assert (b.users.value, b.users.se) == pytest.approx((0.574, 0.125), abs=6e-4)
    assert (b.producers.value, b.producers.se) == pytest.approx((0.794, 0.117), abs=6e-4)
    area = stehman.classes[0].area
    assert area is not None
    assert (area.hectares / 1e5, area.se / 1e5) == pytest.approx((0.35, 0.082), abs=5e-4)
