"""The reflectance offset of each catalogue, and how items become scenes."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pystac import Asset, Item

from geocomiss.sources.stac.offsets import baseline_of, flagged, unapplied, without_offset
from geocomiss.sources.stac.scenes import by_orbit, by_solar_day, newest_of_twins


def item(name: str = "a", when: str = "2023-06-10T10:30:00", bands: Any = None, **told: Any) -> Item:
    moment = datetime.fromisoformat(when).replace(tzinfo=UTC)
    properties = {key.replace("__", ":"): value for key, value in told.items()}
    made = Item(name, None, [5.0, 50.0, 6.0, 51.0], moment, properties)
    made.add_asset("red", Asset("a.tif", extra_fields={"raster:bands": bands} if bands else {}))
    return made


UNAPPLIED: list[tuple[Mapping[str, Any], int]] = [
    ({"s2__processing_baseline": "03.01"}, 0),
    ({"s2__processing_baseline": "04.00"}, 1000),
    ({"s2__processing_baseline": "05.09"}, 1000),
    ({"s2__processing_baseline": "03.01", "earthsearch__boa_offset_applied": False}, 0),
    ({"name": "S2A_MSIL2A_20220301T1_N0400_R108_T31UFS_20220301T2"}, 1000),
    ({"name": "S2A_MSIL2A_20220301T1_N0301_R108_T31UFS_20220301T2"}, 0),
    ({"s2__product_uri": "S2B_MSIL2A_20230610T103629_N0509_R008_T31UFS_20230610T134412.SAFE"}, 1000),
    ({"when": "2022-01-24T10:00:00"}, 0),
    ({"when": "2022-01-25T10:00:00"}, 1000),
]


@pytest.mark.parametrize(("told", "shift"), UNAPPLIED)
def test_planetary_computer_leaves_the_offset_in_from_baseline_4(told: Mapping[str, Any], shift: int) -> None:
    assert unapplied(item(**told)).shift == shift


NEW, OLD = {"s2__processing_baseline": "05.09"}, {"s2__processing_baseline": "02.14"}
MINUS, ZERO = [{"offset": -0.1, "scale": 0.0001}], [{"offset": 0, "scale": 0.0001}]
FLAGGED: list[tuple[Mapping[str, Any], int, bool]] = [
    (NEW | {"earthsearch__boa_offset_applied": True}, 0, False),
    (NEW | {"earthsearch__boa_offset_applied": True, "bands": MINUS}, 0, True),
    (NEW | {"earthsearch__boa_offset_applied": False, "bands": MINUS}, 1000, False),
    (NEW | {"earthsearch__boa_offset_applied": False, "bands": ZERO}, 1000, True),
    (NEW, 1000, False),
    (OLD | {"earthsearch__boa_offset_applied": False, "bands": ZERO}, 0, False),
    (OLD | {"bands": MINUS}, 0, True),
]


@pytest.mark.parametrize(("told", "shift", "contradictory"), FLAGGED)
def test_earth_search_says_whether_it_took_the_offset_away(
    told: Mapping[str, Any], shift: int, contradictory: bool
) -> None:
    offset = flagged(item(**told))
    assert (offset.shift, bool(offset.doubt)) == (shift, contradictory)


@given(st.lists(st.integers(0, 65535), min_size=1), st.sampled_from([0, 1000]))
def test_values_never_fall_below_zero_and_no_data_stays(numbers: list[int], shift: int) -> None:
    values = without_offset(np.array(numbers, "u2"), shift)
    for number, value in zip(numbers, values, strict=True):
        assert np.isnan(value) if number == 0 else value == max(number - shift, 0)


def test_baselines_compare_as_numbers() -> None:
    assert baseline_of(item(s2__processing_baseline="10.00")) > baseline_of(
        item(s2__processing_baseline="05.09")
    )


def test_of_twins_the_highest_baseline_is_kept_whatever_the_order() -> None:
    told = {"platform": "Sentinel-2A", "grid__code": "MGRS-31UFS"}
    datatakes = ["GS2A_20230610T103021_031165_N02.14", "GS2A_20230610T103021_031165_N05.00"]
    old, new = (
        item(f"v{n}", s2__processing_baseline=take[-5:], s2__datatake_id=take, **told)
        for n, take in enumerate(datatakes)
    )
    other = item(
        "b",
        s2__datatake_id=datatakes[0],
        s2__processing_baseline="02.14",
        **told | {"grid__code": "MGRS-31UFR"},
    )
    for order in ([old, new, other], [other, new, old]):
        assert {each.id for each in newest_of_twins(order)} == {"v1", "b"}


def test_a_solar_day_is_not_a_day_of_utc() -> None:
    evening = item("a", "2023-06-10T23:50:00")
    morning = item("b", "2023-06-11T00:10:00")
    assert len(by_solar_day([morning, evening], 0.0)) == 2
    (one,) = by_solar_day([morning, evening], 150.0)
    assert [each.id for each in one.items] == ["a", "b"]


def test_radar_is_grouped_by_orbit_never_by_day() -> None:
    told = {"platform": "SENTINEL-1A"}
    slices = [item(f"s{n}", f"2023-06-10T05:50:{n}0", sat__absolute_orbit=49000, **told) for n in range(2)]
    evening = item("e", "2023-06-10T17:30:00", sat__absolute_orbit=49007, **told)
    named = item(
        "S1B_IW_GRDH_1SDV_20230610T055000_20230610T055025_031000_03B1C2_rtc",
        "2023-06-10T05:50:00",
        platform="SENTINEL-1B",
    )
    scenes = by_orbit([evening, *slices, named])
    assert sorted(len(scene.items) for scene in scenes) == [1, 1, 2]


def test_radar_without_orbit_is_grouped_by_pass() -> None:
    times = ("2023-06-10T05:50:00", "2023-06-10T05:50:25", "2023-06-10T17:30:00")
    scenes = by_orbit([item(f"x{n}", when, platform="SENTINEL-1A") for n, when in enumerate(times)])
    assert [len(scene.items) for scene in scenes] == [2, 1]
