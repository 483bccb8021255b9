"""A place in a training parcel is known, one well outside is not, and the card stays small."""

import geopandas
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Transformer

from geocomiss.errors import SampleError
from geocomiss.footprint import footprint_of

CORNER = (640_003.0, 5_610_007.0)
NOBODY = np.empty(0)
BACK = Transformer.from_crs(32631, 4326, always_xy=True)


def outline(shape: shapely.Polygon) -> str:
    return str(geopandas.GeoSeries([shape], crs=32631).to_crs(4326).iloc[0].wkt)


def covered(places, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    lon, lat = BACK.transform(x, y)
    return places.covers(np.asarray(lat), np.asarray(lon))


@given(st.floats(4, 300), st.floats(4, 300), st.floats(0, 90), st.floats(0, 30), st.floats(0, 30))
def test_every_place_in_a_parcel_is_known(
    width: float, height: float, turn: float, dx: float, dy: float
) -> None:
    box = shapely.box(CORNER[0] + dx, CORNER[1] + dy, CORNER[0] + dx + width, CORNER[1] + dy + height)
    parcel = shapely.affinity.rotate(box, turn)
    places = footprint_of(NOBODY, NOBODY, "secret", [outline(parcel)] * 3)
    rng = np.random.default_rng(0)
    left, bottom, right, top = parcel.bounds
    x, y = rng.uniform([left, bottom], [right, top], (200, 2)).T
    inside = shapely.intersects_xy(parcel.buffer(-0.5), x, y)
    assert covered(places, x[inside], y[inside]).all()
    far = shapely.intersects_xy(parcel.buffer(300).difference(parcel.buffer(45)), x := x + 250, y)
    assert not covered(places, x[far], y[far]).any()
    assert len(places.pixels) <= (width + height + 90) ** 2 / 900


def test_places_without_parcels_are_as_before() -> None:
    lat, lon = np.array([50.6]), np.array([4.9])
    assert footprint_of(lat, lon, "secret") == footprint_of(lat, lon, "secret", ["", ""])


def test_the_models_that_one_began_from_count() -> None:
    first = footprint_of(np.array([50.6]), np.array([4.9]), "first")
    second = footprint_of(np.array([50.7]), np.array([4.9]), "second")
    both = type(second)(second.salt, second.pixels, (first,))
    assert both.covers(np.array([50.6, 50.7, 50.8]), np.full(3, 4.9)).tolist() == [True, True, False]


def test_a_column_that_holds_no_outlines_is_said() -> None:
    with pytest.raises(SampleError, match="outline"):
        footprint_of(NOBODY, NOBODY, "secret", ["north field"])
