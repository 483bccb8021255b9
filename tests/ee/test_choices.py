"""What a user may choose of the compositing: radar passes and Cloud Score+; what was decided stays so."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import ee_local
import geopandas
import numpy as np
import pytest
import shapely
import xarray as xr
from ee_scenes import GRID, catalogue
from ee_server import PIXELS, EarthEngineServer
from typer.testing import CliRunner

from geocomiss.errors import RecipeError, SourceError
from geocomiss.recipes import RECIPES, differences
from geocomiss.samples import SampleRequest, read_samples
from geocomiss.seasons import Calendar
from geocomiss.sources.base import EarthEngine, RadarPass, Reading
from geocomiss.sources.ee.kept import Kept
from geocomiss.sources.ee.listing import Acquisition, Granule
from geocomiss.sources.ee.passes import decide
from geocomiss.sources.ee.source import EarthEngineSource
from geocomiss.sources.ee.tables import CODINGS
from geocomiss.sources.passes import box_of, cells_of
from geocomiss.stack import groups_of, origin_of
from geocomiss_cli import main as entry

SEASON = Calendar(date(2021, 4, 1), "month", 3)
APRIL = Calendar(date(2021, 4, 1), "month", 1)
BOX = "4.978,50.622,4.982,50.624"
SCORED = RECIPES["monthly-l2a-csplus"]
HALF_A_STEP = 0.5 / CODINGS["radar"].per_unit["VV"]


def run(*arguments: str) -> Any:
    return CliRunner().invoke(entry.app, [*arguments], env={"COLUMNS": "200"})


def radar(options: EarthEngine, asked: RadarPass) -> xr.DataTree:
    reading = Reading({"radar": ("VV", "VH")}, ee=replace(options, s1_pass=asked))
    return EarthEngineSource(None, reading).open(GRID, APRIL).compute()


@pytest.mark.parametrize(("asked", "local"), [("asc", "ASCENDING"), ("desc", "DESCENDING"), ("both", "BOTH")])
def test_the_passes_asked_for_are_used_and_no_others(
    options: EarthEngine, asked: RadarPass, local: str
) -> None:
    stack = radar(options, asked)
    found = groups_of(stack)["radar"]
    expected = ee_local.radar(catalogue(), GRID, APRIL, RECIPES["monthly-l2a"], local)
    np.testing.assert_array_equal(found["count"].values, expected["count"].values)
    np.testing.assert_allclose(found["VV"].values, expected["VV"].values, atol=HALF_A_STEP + 1e-5)
    assert origin_of(stack).radar_pass == {"BOTH": "both"}.get(local, local.lower())
    assert any("radar passes" in note for note in origin_of(stack).notes)


def seen(direction: str, *days: int) -> list[Acquisition]:
    outline = shapely.box(3, 49, 7, 53)
    return [
        Acquisition(
            np.datetime64(f"2021-04-{day:02d}", "ns"), (Granule(f"S1/{direction}{day}", outline),), direction
        )
        for day in days
    ]


def test_what_was_decided_holds_when_more_images_appear(tmp_path: Path) -> None:
    cells = cells_of((4.9, 50.5, 5.1, 50.7))
    before = [*seen("ascending", 1, 2), *seen("descending", 3)]
    after = [*before, *seen("descending", 4, 5, 6)]
    assert decide(cells, before, APRIL, "auto", Kept(tmp_path)).name == "ascending"
    assert decide(cells, after, APRIL, "auto", Kept(tmp_path)).name == "ascending", "a run that goes on"
    assert decide(cells, after, APRIL, "auto", Kept(None)).name == "descending", "a new run"
    assert decide(cells, after, SEASON, "auto", Kept(tmp_path)).name == "descending", "another season"
    apart = [*seen("ascending", 1, 2), *seen("descending", 3, 4, 5)]
    one = box_of(cells[0]).bounds
    assert decide(cells_of(one)[:1], apart, APRIL, "auto", Kept(tmp_path)).name == "ascending", "same cell"


def sampled(server: EarthEngineServer, folder: Path, *more: str) -> Any:
    if not (folder / "points.gpkg").exists():
        x, y = (np.array(v) for v in ((640_055, 640_295), (5_609_905, 5_609_655)))
        points = geopandas.GeoDataFrame(
            {"label": ["a", "b"]}, geometry=geopandas.points_from_xy(x, y), crs=32631
        )
        points.to_file(folder / "points.gpkg")
    return run(
        *("sample", "--points", str(folder / "points.gpkg"), "--source", "ee", "--ee-url", server.url),
        *("--ee-project", "my-project", "--ee-credentials", "none", "--season", "2021-04:2021-04"),
        *("--out", str(folder / "samples.parquet"), "--tile", "16", *more),
    )


def test_samples_are_of_the_passes_of_the_map_and_a_sampling_goes_on(
    server: EarthEngineServer, tmp_path: Path
) -> None:
    server.set(faults=[{"path": PIXELS, "status": 403, "text": "denied", "after": 4, "times": 99}])
    done = sampled(server, tmp_path, "--ee-parallel", "1", "--s1-pass", "asc")
    assert isinstance(done.exception, SourceError)
    server.set()
    other = sampled(server, tmp_path)
    assert "other images" in str(other.exception), "other passes are another sampling"
    done = sampled(server, tmp_path, "--s1-pass", "asc")
    assert done.exit_code == 0, done.output
    assert "only ascending radar passes are used" in done.output
    assert len(server.asked()) == 3, "two windows of four tiles, one of both, four of them there"
    assert not (tmp_path / "samples.parquet.partial").exists()
    table = read_samples(
        SampleRequest(str(tmp_path / "samples.parquet"), "label", None, RECIPES["monthly-l2a"])
    )
    expected = ee_local.radar(catalogue(), GRID, APRIL, RECIPES["monthly-l2a"], "ASCENDING")
    at = [(9, 5), (34, 29)]
    values = [expected["VV"].values[0, row, col] for row, col in at]
    np.testing.assert_allclose(table.values["radar"][:, 0, 0], values, atol=HALF_A_STEP + 1e-5)


@pytest.mark.parametrize(("threshold", "dilation"), [(None, 0.0), (0.45, 30.0)])
def test_cloud_score_composites_are_ours_bit_for_bit(
    options: EarthEngine, threshold: float | None, dilation: float
) -> None:
    recipe = replace(SCORED, cloud_dilation=dilation)
    reading = Reading({"optical": ("B2", "B11")}, ee=replace(options, cloud_score=threshold))
    source = EarthEngineSource(recipe, reading)
    stack = source.open(GRID, SEASON).compute()
    found = groups_of(stack)["optical"]
    limit = recipe.cloud_score if threshold is None else threshold
    expected = ee_local.optical(
        catalogue(), GRID, SEASON, replace(recipe, cloud_score=limit), bands=("B2", "B11")
    )
    for name in ("B2", "B11", "count"):
        np.testing.assert_array_equal(found[name].values, expected[name].values, err_msg=name)
    clear = found["count"].values
    assert clear[0].min() < clear[0].max() and (clear[1] == 0).all() and (clear[0] == 0).any()
    assert origin_of(stack).recipe.cloud_score == limit
    assert "1 optical images without Cloud Score+ are left out" in origin_of(stack).notes


def test_other_limits_are_other_stacks_and_the_rule_is_compared(options: EarthEngine) -> None:
    states = set()
    for limit in (0.5, 0.6):
        reading = Reading({"optical": ("B2",)}, ee=replace(options, cloud_score=limit))
        source = EarthEngineSource(SCORED, reading)
        source.open(GRID, APRIL)
        states.add(source.state)
    assert len(states) == 2
    (found,) = [each for each in differences(SCORED, RECIPES["monthly-l2a"]) if each.severity == "warn"]
    assert (found.modality, found.what) == ("optical", "cloud rule")


def test_a_stack_is_fetched_by_cloud_score_from_the_command_line(
    server: EarthEngineServer, tmp_path: Path
) -> None:
    arguments = (
        *("fetch", "--source", "ee", "--ee-url", server.url, "--ee-credentials", "none", "--season"),
        *("2021-04:2021-04", "--ee-project", "my-project", "--aoi", BOX, "--out", str(tmp_path / "s.zarr")),
    )
    done = run(*arguments, "--recipe", "monthly-l2a-csplus", "--cloud-score", "0.5", "--s1-pass", "both")
    assert done.exit_code == 0, done.output
    assert "without Cloud Score+" in done.output and "both directions" in done.output
    stored = xr.open_datatree(tmp_path / "s.zarr", engine="zarr")
    assert origin_of(stored).recipe.cloud_score == 0.5 and origin_of(stored).radar_pass == "both"


def test_choices_are_refused_where_they_mean_nothing(server: EarthEngineServer, tmp_path: Path) -> None:
    out = ("--season", "2021", "--out", str(tmp_path / "s.zarr"), "--aoi", BOX)
    ee = ("--ee-url", server.url, "--ee-credentials", "none", "--ee-project", "my-project")
    done = run("fetch", "--source", "simulated", "--s1-pass", "asc", *out)
    assert isinstance(done.exception, SourceError) and "--s1-pass" in str(done.exception)
    done = run("fetch", "--source", "ee", *ee, "--cloud-score", "0.5", *out)
    assert isinstance(done.exception, RecipeError) and "monthly-l2a-csplus" in str(done.exception)
    assert run("fetch", "--source", "ee", *ee, "--s1-pass", "left", *out).exit_code == 2
    assert run("fetch", "--source", "ee", *ee, "--cloud-score", "1.5", *out).exit_code == 2
