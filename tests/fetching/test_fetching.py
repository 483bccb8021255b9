"""Fetching writes what mapping would read, for any calendar, and says what mapping would say."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from gappy import SEASON, gappy_groups, store

from geocomiss.errors import MapError, RecipeError, SeasonError
from geocomiss.fetching import FetchRequest, fetch_stack
from geocomiss.sources import open_source
from geocomiss.stack import groups_of, origin_of, read_stack

PLACE = "5.30,50.70,5.304,50.703"


def request(tmp_path: Path, **changes: object) -> FetchRequest:
    asked = FetchRequest("simulated", tmp_path / "stack.zarr", PLACE, "2021")
    return replace(asked, **changes)


def test_a_fetched_stack_is_what_the_source_opens(tmp_path: Path) -> None:
    report = fetch_stack(request(tmp_path))
    source = open_source("simulated")
    opened = groups_of(source.open(report.grid, report.calendar).compute())
    for name, group in groups_of(read_stack(report.path).compute()).items():
        xr.testing.assert_equal(group, opened[name])


@pytest.mark.parametrize(
    ("recipe", "season", "first"),
    [("monthly-l2a", "2020-11:2021-10", "2020-11-01"), ("cropharvest", "2019-05:2020-04", "2019-05-07")],
)
def test_months_other_than_the_recipes_are_fetched_as_asked(
    tmp_path: Path, recipe: str, season: str, first: str
) -> None:
    report = fetch_stack(request(tmp_path, recipe=recipe, season=season))
    assert str(report.calendar.start) == first
    assert origin_of(read_stack(report.path)).calendar == report.calendar


def test_a_window_of_a_stored_stack_with_its_season(tmp_path: Path) -> None:
    path = store(tmp_path / "whole", gappy_groups())
    report = fetch_stack(FetchRequest(str(path), tmp_path / "part.zarr", "4.978,50.622,4.98,50.624"))
    assert report.calendar == SEASON
    part = read_stack(report.path)["optical"]["B2"].values
    whole = read_stack(path)["optical"]["B2"].sel(x=report.grid.affine.c + 5, y=report.grid.affine.f - 5)
    assert np.array_equal(part[:, 0, 0], whole.values, equal_nan=True)


def test_an_area_partly_outside_is_said(tmp_path: Path) -> None:
    path = store(tmp_path / "whole", gappy_groups())
    report = fetch_stack(FetchRequest(str(path), tmp_path / "part.zarr", "4.97,50.622,4.98,50.624"))
    assert any("lies outside the stack" in note for note in report.notes)


def test_two_fields_far_from_each_other_are_said_to_fill_little_of_their_box(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields = [f"(({x} {y},{x + 2e-4} {y},{x} {y + 2e-4},{x} {y}))" for x, y in ((5.3, 50.7), (5.304, 50.703))]
    monkeypatch.setattr("geocomiss.fetching.workflow.LARGE", 1000)
    told = fetch_stack(request(tmp_path, aoi=f"MULTIPOLYGON({','.join(fields)})")).notes
    assert any("of the box around it" in note for note in told)
    whole = fetch_stack(request(tmp_path, overwrite=True)).notes
    assert not any("of the box around it" in note for note in whole)


def test_only_a_stack_of_ours_is_replaced(tmp_path: Path) -> None:
    asked = request(tmp_path)
    fetch_stack(asked)
    with pytest.raises(MapError, match="exists; expected"):
        fetch_stack(asked)
    asked.kept.mkdir()  # as a fetch leaves it that is killed between its last write and its clean-up
    with pytest.raises(MapError, match=rf"{asked.kept.name} holds what a fetch received.* may be deleted"):
        fetch_stack(asked)
    assert asked.kept.exists(), "another fetch may be at work with it"
    fetch_stack(replace(asked, overwrite=True))
    foreign = tmp_path / "foreign.zarr"
    zarr.create_group(foreign, attributes={"title": "not ours"})
    with pytest.raises(MapError, match="is no stack"):
        fetch_stack(replace(asked, out=foreign, overwrite=True))
    assert (foreign / "zarr.json").exists()


@pytest.mark.parametrize(
    ("kept", "said"), [(False, "give the command again"), (True, "goes on where it stopped")]
)
def test_a_full_disk_is_said_with_what_giving_the_command_again_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool, said: str
) -> None:
    asked = request(tmp_path)

    def full(*given: object) -> None:
        if kept:
            asked.kept.mkdir()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("geocomiss.fetching.workflow.write_stack", full)
    with pytest.raises(MapError, match=f"No space left on device.*{said}"):
        fetch_stack(asked)


def test_a_future_season_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(SeasonError, match="future"):
        fetch_stack(request(tmp_path, season="2150"))
    assert list(tmp_path.iterdir()) == []


def test_clouds_are_grown_as_asked_or_it_is_refused(tmp_path: Path) -> None:
    clear = {}
    for metres in (0.0, 100.0):
        out = tmp_path / f"{metres:g}.zarr"
        report = fetch_stack(request(tmp_path, out=out, cloud_dilation=metres))
        assert origin_of(read_stack(report.path)).recipe.cloud_dilation == metres
        clear[metres] = int(read_stack(report.path)["optical"]["count"].sum())
    assert clear[100.0] < clear[0.0]
    with pytest.raises(RecipeError, match="cloud-dilation 20"):
        fetch_stack(FetchRequest(str(out), tmp_path / "again.zarr", cloud_dilation=20.0))
