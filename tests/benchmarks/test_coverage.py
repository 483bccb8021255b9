"""How often 95 % intervals of areas hold: 2,000 validation samples of maps of the simulated world.

The shipped model maps a place; samples are drawn from the map and labelled with the truth. Run it by
`GEOCOMISS_BENCHMARKS=1 pytest -s tests/benchmarks/test_coverage.py`; it takes some minutes.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from odc.geo.geobox import GeoBox
from repeated import Held, coverage_over

from geocomiss.accuracy.allocation import allocate
from geocomiss.mapping import MapRequest, make_map
from geocomiss.simulation import CLASSES, World

REPETITIONS = 2000
BOOTSTRAPS = 400
PLACES = {"Bavaria": "11.12,49.83,11.175,49.865", "Flanders": "4.86,50.92,4.915,50.955"}

pytestmark = pytest.mark.skipif(
    not os.environ.get("GEOCOMISS_BENCHMARKS"), reason="takes minutes: set GEOCOMISS_BENCHMARKS=1"
)


def say(title: str, held: Held, points: np.ndarray, names: list[str]) -> None:
    print(f"\n{title}: {points.sum()} points; overall accuracy holds {held.overall:.1%}")
    print(
        f"{'class':12} {'share':>6} {'points':>6} {'normal':>7} {'logit':>7} {'bootstr':>7} {'cautious':>8}"
    )
    for k, name in enumerate(names):
        rates = (held.normal[k], held.logit[k], held.bootstrap[k], held.cautious[k])
        print(f"{name:12} {held.share[k]:7.1%} {points[k]:7} " + " ".join(f"{rate:7.1%}" for rate in rates))


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("rule", ["proportional", "equal"])
def test_intervals_hold_as_often_as_they_say(place: str, rule: str, tmp_path: Path) -> None:
    folder = make_map(MapRequest("simulated", tmp_path / "map", aoi=PLACES[place], season="2021")).folder
    with rasterio.open(folder / "crop_type.tif") as file:
        mapped = file.read(1).ravel()
        truth = World(0).true_class(GeoBox(file.shape, file.transform, file.crs.to_wkt())).ravel()
    known = mapped > 0
    present = np.unique(mapped[known])
    keep = known & np.isin(truth, present)
    mapped, truth = (np.searchsorted(present, each[keep]) for each in (mapped, truth))
    pixels = np.bincount(mapped)
    part = pixels / pixels.sum() if rule == "proportional" else np.full(len(pixels), 1 / len(pixels))
    points = allocate(700, pixels, part, 50)
    held = coverage_over(truth, mapped, points, REPETITIONS, BOOTSTRAPS)
    names = [str(getattr(CLASSES[value - 1], "name", CLASSES[value - 1])) for value in present]
    say(f"{place}, {rule}", held, points, names)
    common = held.share >= 0.1
    if rule == "proportional":  # at least 50 points a stratum, and no stratum starved
        assert ((held.normal[common] >= 0.93) & (held.normal[common] <= 0.97)).all()
    assert (held.cautious >= 0.93).all()
    assert np.abs(held.bias).max() < 4
