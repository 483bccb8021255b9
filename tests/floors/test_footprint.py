"""Hashed places: found again, and nothing else said."""

import numpy as np
import pytest
from pyproj import Transformer

from geocomiss.footprint import Footprint, footprint_of, joined, split

RNG = np.random.default_rng(0)
LAT, LON = RNG.uniform(-55, 65, 300), RNG.uniform(-180, 180, 300)


def test_places_are_found_again_and_others_are_not() -> None:
    places = footprint_of(LAT[:150], LON[:150], "table")
    assert places.covers(LAT[:150], LON[:150]).all()
    assert not places.covers(LAT[150:], LON[150:]).any()


def test_a_pixel_and_its_neighbours_are_meant() -> None:
    utm = Transformer.from_crs(4326, 32631, always_xy=True)
    x, y = utm.transform(4.5, 50.5)
    x, y = np.floor(x / 10) * 10 + 5, np.floor(y / 10) * 10 + 5
    away = np.array([0, 4, 12, 14.9, 16, 30])
    lon, lat = utm.transform(x + away, np.full(6, y), direction="INVERSE")
    found = footprint_of(lat[:1], lon[:1], "table").covers(lat, lon)
    assert found.tolist() == [True, True, True, True, False, False]


def test_hashes_tell_no_place_and_two_models_cannot_be_compared() -> None:
    one, other = (footprint_of(LAT, LON, name) for name in ("a", "b"))
    assert not one.pixels & other.pixels
    assert footprint_of(LAT, LON, "a") == one
    assert split(joined(one.pixels)) == one.pixels
    shuffled = RNG.permutation(len(LAT))
    assert joined(footprint_of(LAT[shuffled], LON[shuffled], "a").pixels) == joined(one.pixels)


@pytest.mark.parametrize("places", [Footprint("salt", frozenset()), footprint_of(LAT, LON, "a")])
def test_places_that_are_no_numbers_lie_nowhere(places: Footprint) -> None:
    nowhere = np.array([np.nan])
    assert not places.covers(nowhere, nowhere).any()
    assert not places.covers(np.empty(0), np.empty(0)).any()
