"""openEO files made on the spot: naming schemes, holes, units and damage."""

from datetime import date
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from geocomiss.errors import AreaError, SeasonError, SourceError, StackError
from geocomiss.grid import crop
from geocomiss.seasons import Calendar
from geocomiss.sources import open_source
from geocomiss.sources.openeo import variable_named
from geocomiss.stack import check_units, groups_of, origin_of, read_stack, write_stack

YEAR = Calendar(date(2021, 1, 1), "month", 12)
MONTHS = np.array(YEAR.edges()[:-1], "datetime64[ns]")
DN = {
    "B2": 400,
    "B4": 500,
    "B8": 3000,
    "VV": 5000,
    "VH": 2000,
    "temperature_2m": 28300,
    "total_precipitation": 6000,
}


def write_openeo(path: Path, size: tuple[int, int] = (6, 7), months: np.ndarray = MONTHS, **changes) -> Path:
    """A file of the plain naming scheme; `changes` replaces or (None) drops variables."""
    rng = np.random.default_rng(0)
    shape = (months.size, *size)
    values = {name: (base * rng.uniform(0.8, 1.2, shape)).astype("u2") for name, base in DN.items()}
    values = {name: array for name, array in (values | changes).items() if array is not None}
    data = {name: (("t", "y", "x"), array.view("i2")) for name, array in values.items()}
    x, y = 600005 + 10 * np.arange(size[1]), 5500005 - 10 * np.arange(size[0])
    dataset = xr.Dataset(data, coords={"t": months, "y": y.astype(float), "x": x.astype(float)})
    for name in values:
        dataset[name].attrs["_Unsigned"] = "true"
    dataset["crs"] = ((), 0, {"crs_wkt": "EPSG:32631"})
    dataset.to_netcdf(path)
    return path


def whole(path: Path, season: Calendar = YEAR) -> dict[str, xr.Dataset]:
    source = open_source(str(path))
    return groups_of(source.open(source.grid, season).compute())


def full(number: int, size: tuple[int, int] = (6, 7)) -> np.ndarray:
    return np.full((12, *size), number, "u2")


@pytest.mark.parametrize(
    ("name", "modality", "band"),
    [
        ("B2", "optical", "B2"),
        ("B02", "optical", "B2"),
        ("S2-L2A-B8A", "optical", "B8A"),
        ("S2-L1C-B11", "optical", "B11"),
        ("S1-SIGMA0-VV", "radar", "VV"),
        ("VH", "radar", "VH"),
        ("AGERA5-TMEAN", "weather", "temperature_2m"),
        ("AGERA5-PRECIP", "weather", "total_precipitation"),
        ("total_precipitation", "weather", "total_precipitation"),
        ("COP-DEM-elevation", "topography", "elevation"),
        ("slope", "topography", "slope"),
    ],
)
def test_names_of_both_schemes_are_understood(name, modality, band):
    known = variable_named(name)
    assert known is not None and (known.modality, known.band) == (modality, band)


@pytest.mark.parametrize("name", ["SCL", "S2-L2A-SCL", "B1", "B10", "S2-L2A-AOT", "crs", "B99", "VVV", "aB2"])
def test_other_names_mean_nothing(name):
    assert variable_named(name) is None


def test_names_tell_level_and_product(tmp_path):
    path = write_openeo(
        tmp_path / "a.nc", **{n: None for n in DN}, **{"S2-L1C-B04": full(9), "S1-GAMMA0-VV": full(9)}
    )
    recipe = open_source(str(path)).recipe
    assert (recipe.s2_level, recipe.s1_product) == ("L1C", "gamma0")


def test_weather_and_terrain_may_be_absent(tmp_path):
    path = write_openeo(tmp_path / "a.nc", temperature_2m=None, total_precipitation=None)
    assert set(open_source(str(path)).bands) == {"optical", "radar"}


def test_nodata_smeared_values_and_no_backscatter_are_missing(tmp_path):
    red, vv = full(500), full(5000)
    red[0, 0, :4] = [65535, 16001, 16000, 0]
    vv[0, 0, :2] = [65535, 0]
    groups = whole(write_openeo(tmp_path / "a.nc", B4=red, VV=vv, B2=None, B8=None, VH=None))
    np.testing.assert_array_equal(np.isfinite(groups["optical"].B4[0, 0, :4]), [False, False, True, True])
    np.testing.assert_array_equal(np.isfinite(groups["radar"].VV[0, 0, :3]), [False, False, True])
    np.testing.assert_array_equal(groups["optical"]["count"][0, 0, :4], [0, 0, 1, 1])
    assert groups["radar"]["count"][0, 0, :3].values.tolist() == [0, 0, 1]


def test_precipitation_is_divided_by_the_days_of_the_month(tmp_path):
    groups = whole(write_openeo(tmp_path / "a.nc", total_precipitation=full(9300)))
    days = np.diff(np.array(YEAR.edges(), "datetime64[D]")).astype(int)
    np.testing.assert_allclose(groups["weather"].total_precipitation[:, 0, 0], 0.093 / days, rtol=1e-6)


def test_months_that_the_file_skips_are_missing_and_said(tmp_path):
    path = write_openeo(tmp_path / "a.nc", months=MONTHS[[0, 1, 4, 5, 6, 7, 8, 9, 10, 11]])
    source = open_source(str(path))
    stack = source.open(source.grid, YEAR).compute()
    valid = np.isfinite(groups_of(stack)["radar"].VV.values).all((1, 2))
    assert valid.tolist() == [True] * 2 + [False] * 2 + [True] * 8
    assert groups_of(stack)["radar"]["count"].values[:, 0, 0].tolist() == [1, 1, 0, 0] + [1] * 8
    assert "2 months" in origin_of(stack).notes[0]


def test_steps_in_any_order_are_put_in_order(tmp_path):
    red = full(0)
    red[:] = np.arange(12)[::-1, None, None]
    groups = whole(write_openeo(tmp_path / "a.nc", months=MONTHS[::-1], B4=red))
    assert groups["optical"].B4[:, 0, 0].values.tolist() == list(range(12))


def test_rows_from_south_to_north_are_turned(tmp_path):
    path = write_openeo(tmp_path / "a.nc")
    upright = whole(path)
    with xr.open_dataset(path, mask_and_scale=False) as dataset:
        dataset.isel(y=slice(None, None, -1)).to_netcdf(tmp_path / "b.nc")
    turned = whole(tmp_path / "b.nc")
    xr.testing.assert_equal(upright["optical"], turned["optical"])


def test_a_file_saved_again_by_xarray_with_floats_and_nan_reads_the_same(tmp_path):
    path = write_openeo(tmp_path / "a.nc")
    with xr.open_dataset(path) as dataset:
        floats = dataset.drop_vars("crs").astype("f4").drop_encoding()
        floats["crs"] = dataset["crs"]
        floats.to_netcdf(tmp_path / "b.nc")
    for name, group in whole(path).items():
        xr.testing.assert_equal(group, whole(tmp_path / "b.nc")[name])


@pytest.mark.parametrize(
    "season", [Calendar(date(2020, 6, 1), "month", 12), Calendar(date(2021, 7, 1), "month", 12)]
)
def test_a_season_that_is_not_held_is_refused(tmp_path, season):
    source = open_source(str(write_openeo(tmp_path / "a.nc")))
    with pytest.raises(SeasonError, match="the stack holds"):
        source.open(source.grid, season)


def test_a_longer_stack_is_cut_and_future_steps_are_missing(tmp_path, monkeypatch):
    monkeypatch.setattr("geocomiss.stack.season.today", lambda: date(2021, 12, 20))
    groups = whole(write_openeo(tmp_path / "a.nc"), Calendar(date(2021, 4, 1), "month", 12))
    assert np.isfinite(groups["radar"].VV[:, 0, 0]).values.tolist() == [True] * 9 + [False] * 3


def test_another_grid_is_refused(tmp_path):
    source = open_source(str(write_openeo(tmp_path / "a.nc")))
    with pytest.raises(AreaError):
        source.open(source.grid.zoom_out(2), YEAR)


def test_wrong_units_are_refused(tmp_path):
    source = open_source(
        str(write_openeo(tmp_path / "a.nc", temperature_2m=full(1500)))
    )  # 15 degrees Celsius
    with pytest.raises(StackError, match="weather: not K"):
        check_units(source.open(source.grid, YEAR))


def test_reflectance_ten_times_too_high_is_refused_not_taken_for_missing(tmp_path):
    path = write_openeo(tmp_path / "a.nc", **{"S2-L2A-B02": full(40000)})
    with pytest.raises(StackError, match="lie above 16,000"):
        whole(path)


def test_nothing_but_nodata_is_missing_everywhere_and_counts_nothing(tmp_path):
    groups = whole(write_openeo(tmp_path / "a.nc", **{name: full(65535) for name in DN}))
    for group in groups.values():
        assert (group["count"] == 0).all()
        assert all(np.isnan(group[name]).all() for name in group.data_vars if name != "count")


def test_dates_other_than_first_days_are_refused(tmp_path):
    path = write_openeo(tmp_path / "a.nc", months=MONTHS + np.timedelta64(4, "D"))
    with pytest.raises(SourceError, match="12 single dates"):
        open_source(str(path))


def test_a_file_without_crs_is_refused(tmp_path):
    path = write_openeo(tmp_path / "a.nc")
    with xr.open_dataset(path, mask_and_scale=False) as dataset:
        dataset.drop_vars("crs").to_netcdf(tmp_path / "b.nc")
    with pytest.raises(SourceError, match="no CRS"):
        open_source(str(tmp_path / "b.nc"))


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x89HDF\r\n\x1a\n" + b"\0" * 50, b"II*\x00" + b"\0" * 50]
)
def test_what_is_no_source_gives_one_clear_error(tmp_path, content):
    path = tmp_path / "thing.nc"
    path.write_bytes(content)
    with pytest.raises(SourceError, match="thing"):
        open_source(str(path))


def test_the_message_lists_what_is_understood(tmp_path):
    with pytest.raises(SourceError) as raised:
        open_source(str(tmp_path))
    for word in ("simulated", "Zarr", "NetCDF", "GeoTIFF", "raw acquisitions"):
        assert word in raised.value.expected
    with pytest.raises(SourceError, match="does not exist"):
        open_source(str(tmp_path / "nowhere"))


@settings(max_examples=6)
@given(
    top=st.integers(0, 200), left=st.integers(0, 400), height=st.integers(1, 290), width=st.integers(1, 300)
)
def test_any_window_of_a_large_file_is_written_and_read_again(tmp_path, top, left, height, width):
    path = tmp_path / "large.nc"
    if not path.exists():
        only = {name: None for name in DN if name != "VV"}
        vv = np.random.default_rng(1).integers(900, 9000, (2, 300, 520)).astype("u2")
        write_openeo(path, (300, 520), MONTHS[:2], **only | {"VV": vv})
    source = open_source(str(path))
    season = Calendar(date(2021, 1, 1), "month", 2)
    part = source.grid[top : min(300, top + height), left : min(520, left + width)]
    stack = source.open(part, season)
    folder = tmp_path / f"{top}_{left}_{height}_{width}.zarr"
    if not folder.exists():
        write_stack(stack, folder)
    again = open_source(str(folder))
    assert again.grid == part
    smaller = crop(part, part[: max(1, part.height // 2), : max(1, part.width // 3)].extent.buffer(-1))
    one, other = again.open(smaller, season), source.open(smaller, season)
    assert groups_of(one.compute())["radar"].equals(groups_of(other.compute())["radar"])


def test_a_stored_stack_with_a_damaged_block_gives_one_clear_error(tmp_path):
    source = open_source(str(write_openeo(tmp_path / "a.nc")))
    write_stack(source.open(source.grid, YEAR), tmp_path / "s.zarr")
    block = tmp_path / "s.zarr" / "radar" / "VV" / "c" / "0" / "0" / "0"
    block.write_bytes(block.read_bytes()[:20])
    stored = open_source(str(tmp_path / "s.zarr"))
    with pytest.raises(SourceError, match=r"s\.zarr cannot be read"):
        stored.open(stored.grid, YEAR).compute()


def test_a_stack_with_broken_metadata_gives_one_clear_error(tmp_path):
    source = open_source(str(write_openeo(tmp_path / "a.nc")))
    write_stack(source.open(source.grid, YEAR), tmp_path / "s.zarr")
    read_stack(tmp_path / "s.zarr")
    metadata = tmp_path / "s.zarr" / "zarr.json"
    metadata.write_text(metadata.read_text()[:40])
    with pytest.raises(SourceError, match="metadata"):
        open_source(str(tmp_path / "s.zarr"))
