"""Validation samples: how many points where, drawn at random, with all that an assessment needs."""

from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyogrio
import pytest
import rasterio
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from geocomiss.accuracy import DesignRequest, draw_sample
from geocomiss.accuracy.allocation import allocate, expected_se, shares, size_for
from geocomiss.errors import GeocomissError

PIXELS = np.array([2000, 30_000, 68_000])
EXPECTED = np.array([0.6, 0.8, 0.95])


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=12), st.integers(0, 60), st.data())
def test_points_add_up_within_what_there_is(sizes: list[int], at_least: int, data: Any) -> None:
    pixels = np.array(sizes)
    least = int(np.minimum(at_least, pixels).sum())
    n = data.draw(st.integers(max(least, 1), int(pixels.sum())))
    points = allocate(n, pixels, pixels / pixels.sum(), at_least)
    assert points.sum() == n
    assert (points <= pixels).all() and (points >= np.minimum(at_least, pixels)).all()


def test_the_three_rules() -> None:
    assert allocate(1000, PIXELS, shares(PIXELS, EXPECTED, "proportional"), 2).tolist() == [20, 300, 680]
    assert allocate(999, PIXELS, shares(PIXELS, EXPECTED, "equal"), 2).tolist() == [333, 333, 333]
    wish = PIXELS * np.sqrt(EXPECTED * (1 - EXPECTED))
    assert shares(PIXELS, EXPECTED, "neyman") == pytest.approx(wish / wish.sum())


def test_neyman_is_the_best_that_can_be_done() -> None:
    rng = np.random.default_rng(0)
    best = expected_se(allocate(500, PIXELS, shares(PIXELS, EXPECTED, "neyman"), 2), PIXELS, EXPECTED)
    for _ in range(50):
        other = allocate(500, PIXELS, rng.dirichlet(np.ones(3)), 2)
        assert best <= expected_se(other, PIXELS, EXPECTED) * 1.0001


@pytest.mark.parametrize("rule", ["proportional", "equal", "neyman"])
def test_a_target_standard_error_is_reached_with_no_point_too_many(rule: Any) -> None:
    part = shares(PIXELS, EXPECTED, rule)
    n = size_for(0.015, PIXELS, EXPECTED, rule)
    reached = [expected_se(allocate(size, PIXELS, part, 2), PIXELS, EXPECTED) for size in (n, int(0.98 * n))]
    assert reached[0] <= 0.0151 and reached[1] > 0.015


def test_the_example_of_olofsson_for_the_size_of_a_sample() -> None:
    # section 5.1.1 of Olofsson et al. (2014): W, U as planned there, S(O) = 0.01 gives 641
    pixels = np.array([200_000, 150_000, 3_200_000, 6_450_000])
    assert size_for(0.01, pixels, np.array([0.7, 0.6, 0.9, 0.95]), "neyman") == pytest.approx(641, abs=1)


def test_the_file_says_how_it_was_drawn(map_folder: Path, mapped: NDArray[np.uint8], tmp_path: Path) -> None:
    report = draw_sample(DesignRequest(map_folder, tmp_path / "v.gpkg", n=200))
    assert report.n == 200
    assert pyogrio.list_layers(report.path)[:, 0].tolist() == ["points", "pixels"]
    frame = geopandas.read_file(report.path, layer="points")
    with rasterio.open(map_folder / "crop_type.tif") as file:
        places = zip(frame.geometry.x, frame.geometry.y, strict=True)
        value = np.array([each[0] for each in file.sample(places)])
    assert (frame["stratum"] == value).all()
    for number, size in zip(*np.unique(mapped[mapped > 0], return_counts=True), strict=True):
        rows = frame[frame["stratum"] == number]
        assert (rows["stratum_pixels"] == size).all()
        assert rows["inclusion_probability"].to_numpy() == pytest.approx(len(rows) / size)
        assert rows["stratum_ha"].iloc[0] == pytest.approx(size / 100, rel=2e-3)
    assert frame["label"].isna().all()
    assert (frame["design"] == "stratified").all()
    assert not frame.geometry.duplicated().any()
    assert np.abs(np.corrcoef(frame["id"], frame["stratum"])[0, 1]) < 0.25  # not sorted by class
    degrees = frame.geometry.to_crs(4326)
    assert degrees.x.to_numpy() == pytest.approx(frame["lon"].to_numpy(), abs=1e-6)
    outline = geopandas.read_file(report.path, layer="pixels")
    assert (outline.geometry.area == 100).all() and outline.contains(frame.geometry).all()


def test_every_pixel_of_a_class_has_the_same_chance(
    map_folder: Path, mapped: NDArray[np.uint8], tmp_path: Path
) -> None:
    rows = []
    for seed in range(5):
        request = DesignRequest(map_folder, tmp_path / "v.gpkg", n=1500, seed=seed, overwrite=True)
        rows.append(geopandas.read_file(draw_sample(request).path, layer="points"))
    north = np.array([(each.geometry.y > 5610000 - 800).mean() for each in rows])
    share = (mapped[:80] > 0).sum() / (mapped > 0).sum()
    assert north.mean() == pytest.approx(share, abs=0.025)
    first = set(zip(rows[0].geometry.x, rows[0].geometry.y, strict=True))
    assert len(first & set(zip(rows[1].geometry.x, rows[1].geometry.y, strict=True))) < 150


def test_the_same_seed_draws_the_same_points(map_folder: Path, tmp_path: Path) -> None:
    paths = [
        draw_sample(DesignRequest(map_folder, tmp_path / name, n=50)).path for name in ("a.gpkg", "b.gpkg")
    ]
    frames = [geopandas.read_file(path, layer="points") for path in paths]
    assert frames[0].equals(frames[1])


def test_labels_are_not_overwritten_unasked(map_folder: Path, tmp_path: Path) -> None:
    request = DesignRequest(map_folder, tmp_path / "v.gpkg", n=50)
    draw_sample(request)
    with pytest.raises(GeocomissError, match="exists already, perhaps with labels"):
        draw_sample(request)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n": 20}, "at least 10 a class"),
        ({"n": 10**6}, "30 to 31,400 points"),
        ({"n": 50, "expected": {"rice": 0.5}}, "rice"),
        ({"n": 50, "out": Path("v.shp")}, r"GeoPackage, \*\.gpkg"),
        ({"n": 50, "map": Path("nowhere")}, "holds no run.json"),
        ({"n": 50, "out": Path("/proc/v.gpkg")}, "cannot be written"),
    ],
)
def test_bad_requests_are_refused(map_folder: Path, tmp_path: Path, changes: Any, words: str) -> None:
    asked = {"map": map_folder, "out": tmp_path / "v.gpkg"} | changes
    with pytest.raises(GeocomissError, match=words):
        draw_sample(DesignRequest(**asked))
