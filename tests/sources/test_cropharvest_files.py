"""Exports in CropHarvest's format made on the spot: names, numbers of steps, dates."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from geocomiss.errors import SourceError
from geocomiss.seasons import Calendar
from geocomiss.sources import open_source
from geocomiss.sources.cropharvest import STEP_BANDS
from geocomiss.stack import groups_of

YEAR = "2019-02-06_2020-02-01"


def names_of(steps: int) -> list[str]:
    dynamic = [f"{band}_{t}" if t else band for t in range(steps) for band in STEP_BANDS]
    return [*dynamic, "elevation", "slope"]


def write_export(path: Path, names: list[str] | None, count: int = 0) -> Path:
    """Band i (from 0) holds i, the pixel (0, 0) of every band NaN."""
    count = len(names) if names else count
    values = np.broadcast_to(np.arange(count, dtype="f8")[:, None, None], (count, 3, 4)).copy()
    values[:, 0, 0] = np.nan
    affine = Affine(9e-5, 0, 1.4, 0, -9e-5, 7.7)
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = {"driver": "GTiff", "width": 4, "height": 3, "count": count, "dtype": "float64"}
    with rasterio.open(path, "w", **profile, crs="EPSG:4326", transform=affine) as file:
        file.write(values)
        for i, name in enumerate(names or [], start=1):
            file.set_band_description(i, name)
    return path


def whole(path: Path) -> dict:
    source = open_source(str(path))
    return groups_of(source.open(source.grid, source.held).compute())


@pytest.mark.parametrize(
    ("name", "steps", "start"),
    [
        (f"98-togo_{YEAR}.tif", 12, date(2019, 2, 6)),
        (f"min_lat=7.0_min_lon=1.0_max_lat=7.1_max_lon=1.1_dates={YEAR}_all.tif", 12, date(2019, 2, 6)),
        (f"area_dates={YEAR}/batch_0/0.tif", 12, date(2019, 2, 6)),
        ("a_2019-02-06_2019-04-07.tif", 2, date(2019, 2, 6)),
        ("a_2019-02-06_2021-01-26.tif", 24, date(2019, 2, 6)),
    ],
)
def test_any_whole_number_of_steps_with_dates_from_the_name(tmp_path, name, steps, start):
    path = write_export(tmp_path / name, names_of(steps))
    source = open_source(str(path))
    assert source.held == Calendar(start, "30d", steps)
    groups = whole(path)
    last = 17 * (steps - 1)
    assert float(groups["radar"].VH[-1, 1, 1]) == last + 1
    assert float(groups["optical"].B2[-1, 1, 1]) == last + 3
    assert float(groups["weather"].total_precipitation[-1, 1, 1]) == last + 16
    assert float(groups["topography"].slope[1, 1]) == 17 * steps + 1
    assert np.isnan(groups["optical"].B4[:, 0, 0]).all()
    assert groups["optical"]["count"][:, 0, :2].values.tolist() == [[0, 1]] * steps


def test_without_names_the_number_of_bands_tells(tmp_path):
    named = whole(write_export(tmp_path / f"named_{YEAR}.tif", names_of(12)))
    plain = whole(write_export(tmp_path / f"plain_{YEAR}.tif", None, 206))
    for name, group in named.items():
        assert group.equals(plain[name])
    with pytest.raises(SourceError, match="not understood"):
        open_source(str(write_export(tmp_path / f"other_{YEAR}.tif", None, 205)))


def test_bands_are_found_by_name_in_any_order(tmp_path):
    names = names_of(12)
    groups = whole(write_export(tmp_path / f"a_{YEAR}.tif", names[::-1]))
    assert float(groups["radar"].VV[3, 1, 1]) == names[::-1].index("VV_3")


def test_calendar_months_are_recognised(tmp_path):
    source = open_source(str(write_export(tmp_path / "a_2021-01-01_2022-01-01.tif", names_of(12))))
    assert source.held == Calendar(date(2021, 1, 1), "month", 12)


def test_a_band_that_is_missing_altogether_is_not_offered(tmp_path):
    names = [name for name in names_of(12) if name != "slope" and not name.startswith("B8A")]
    source = open_source(str(write_export(tmp_path / f"a_{YEAR}.tif", names)))
    assert "B8A" not in source.bands["optical"] and source.bands["topography"] == ("elevation",)


def test_a_step_that_is_missing_is_refused(tmp_path):
    names = ["unknown" if name == "B4_7" else name for name in names_of(12)]
    with pytest.raises(SourceError, match="lacks steps of B4;"):
        open_source(str(write_export(tmp_path / f"a_{YEAR}.tif", names)))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("98-togo.tif", "does not say when"),
        ("a_2019-13-06_2020-02-01.tif", "does not say when"),
        ("a_2019-02-06_2019-12-01.tif", "298 days"),
    ],
)
def test_a_name_that_does_not_tell_the_dates_is_refused(tmp_path, name, message):
    with pytest.raises(SourceError, match=message):
        open_source(str(write_export(tmp_path / name, names_of(12))))


def test_a_rotated_grid_is_refused(tmp_path):
    path = write_export(tmp_path / f"a_{YEAR}.tif", names_of(12))
    with rasterio.open(path, "r+") as file:
        file.transform = Affine(9e-5, 1e-5, 1.4, 1e-5, -9e-5, 7.7)
    with pytest.raises(SourceError, match="rotated"):
        open_source(str(path))
