"""Values far from those of the training samples are warned of, band by band."""

from pathlib import Path

import numpy as np
import pytest
from gappy import RANGES, gappy_groups, store, untrained

from geocomiss.checkpoint import read_checkpoint
from geocomiss.mapping import MapRequest, make_map
from geocomiss.mapping.checks import DRIFT, LEAST, drift_warnings
from geocomiss.stack import Origin, new_stack


@pytest.mark.parametrize(("spreads", "warned"), [(0.5 * DRIFT, False), (1.5 * DRIFT, True), (6.0, True)])
def test_a_band_whose_mean_is_far_away_is_named(spreads: float, warned: bool, tmp_path: Path) -> None:
    low, high = RANGES["B4"]  # the model's mean is their middle, its spread a quarter of what lies between
    groups = gappy_groups()
    groups["optical"]["B4"] = groups["optical"]["B4"] + spreads * (high - low) / 4
    request = MapRequest(str(store(tmp_path, groups)), tmp_path / "map", model=str(untrained(tmp_path)))
    said = [each for each in make_map(request).warnings if "times their spread away" in each]
    assert [each.partition(":")[0] for each in said] == (["optical B4"] if warned else [])
    if warned:
        away = float(said[0].split(", ")[1].split()[0])
        assert away == pytest.approx(spreads, abs=0.15)


def test_few_values_and_bands_that_never_varied_are_not_judged(tmp_path: Path) -> None:
    card = read_checkpoint(str(untrained(tmp_path))).card
    groups = gappy_groups()
    groups["radar"]["VV"].values[:] = np.nan
    groups["radar"]["VV"].values[0].flat[: LEAST - 1] = 100.0
    groups["radar"]["VH"].values[:] = 100.0
    stack = new_stack(groups, Origin("test", card.recipe, card.cycle.ending_in(2021)))  # type: ignore[union-attr]
    statistics = dict(card.statistics)
    still = statistics["radar"].model_copy(update={"std": (1.0, 0.0)})
    changed = card.model_copy(update={"statistics": statistics | {"radar": still}})
    assert not [each for each in drift_warnings([stack], changed) if each.startswith("radar")]
    assert [each for each in drift_warnings([stack], card) if each.startswith("radar VH")]
