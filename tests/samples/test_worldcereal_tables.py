"""WorldCereal's long and wide Parquet, against a slow reading row by row and against real `.npz`."""

import math
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocomiss.errors import SampleError
from geocomiss.recipes import RECIPES
from geocomiss.samples import SampleRequest, read_samples

LONG = {
    "VV": "S1-SIGMA0-VV", "VH": "S1-SIGMA0-VH", "B2": "S2-L2A-B02", "B4": "S2-L2A-B04", "B8": "S2-L2A-B08",
    "B8A": "S2-L2A-B8A", "B11": "S2-L2A-B11", "temperature_2m": "AGERA5-temperature-mean",
    "total_precipitation": "AGERA5-precipitation-flux", "elevation": "DEM-alt-20m", "slope": "DEM-slo-20m",
}  # fmt: skip
TYPICAL = {
    "VV": 4300, "VH": 1800, "B2": 700, "B4": 900, "B8": 3000, "B8A": 3100, "B11": 2500,
    "temperature_2m": 28500, "total_precipitation": 9000, "elevation": 194.5, "slope": 0.75,
}  # fmt: skip
NODATA = 65535


def read(path, label="CROPTYPE_LABEL", **changes):
    return read_samples(SampleRequest(str(path), label, None, RECIPES["cropharvest"], **changes))


def evening(year, month):
    """How the extraction dates a month: an hour or two before it begins, by summer time."""
    hour = 22 if 4 <= month <= 10 else 23
    return np.datetime64(date(year, month, 1) - timedelta(days=1)) + np.timedelta64(hour, "h")


def rows(points=6, months=15, seed=0, holes=0.15):
    """Rows of a long table: (point, month) -> columns, some missing, in random order."""
    rng = np.random.default_rng(seed)
    table = []
    for point in range(points):
        for month in range(months):
            year, number = 2016 + (month + 11) // 12, (month + 11) % 12 + 1
            row = {name: int(TYPICAL[band] * rng.uniform(0.9, 1.1)) for band, name in LONG.items()}
            for band in ("VV", "VH", "B2", "B4", "B8", "B11"):
                if rng.random() < holes:
                    row[LONG[band]] = int(rng.choice([NODATA, 0, 54000 if band[0] == "B" else NODATA]))
            row |= {"DEM-alt-20m": 100.0 + point, "DEM-slo-20m": 0.5, "lat": 45.0 + point, "lon": -75.0}
            row |= {
                "sample_id": f"p{points - point}",
                "timestamp": evening(year, number),
                "CROPTYPE_LABEL": 1000 + point % 2,
            }
            row |= {"valid_date": np.datetime64("2017-07-19T22:00"), "region": "east", "wobble": month}
            table.append(row)
    keep = rng.random(len(table)) > holes / 2
    keep[:months] = keep[-months:] = True
    kept = [row for row, kept in zip(table, keep, strict=True) if kept]
    rng.shuffle(kept)
    return kept


def write(path, table):
    columns = {name: np.array([row[name] for row in table]) for name in table[0]}
    arrays = {name: c.astype("datetime64[ns]") if c.dtype.kind == "M" else c for name, c in columns.items()}
    pq.write_table(pa.table({name: pa.array(c) for name, c in arrays.items()}), path)
    return path


def slow(band, stored, days):
    """The obvious way, number by number."""
    if stored == NODATA:
        return math.nan
    if band.startswith("B"):
        return stored if 0 < stored <= 16000 else math.nan
    if band in ("VV", "VH"):
        return 20 * math.log10(stored) - 83 if stored > 0 else math.nan
    if band == "total_precipitation":
        return stored / 1e5 / days
    return stored / 100 if band == "temperature_2m" else stored


@given(st.integers(0, 10_000), st.integers(2, 7), st.integers(1, 20))
def test_a_long_table_is_read_like_row_by_row(tmp_path, seed, points, months):
    table = rows(points, months, seed)
    samples = read(write(tmp_path / "long.parquet", table))
    ids = sorted({row["sample_id"] for row in table})
    assert list(samples.columns["sample_id"]) == ids and samples.months.shape == (len(ids), months)
    expected = {band: np.full((len(ids), months), np.nan) for band in LONG}
    for row in table:
        first = (row["timestamp"] + np.timedelta64(12, "h")).astype("datetime64[D]").item()
        step = (first.year - 2016) * 12 + first.month - 12
        days = ((first + timedelta(days=32)).replace(day=1) - first).days
        for band, name in LONG.items():
            expected[band][ids.index(row["sample_id"]), step] = slow(band, row[name], days)
    for name, bands in samples.bands.items():
        for place, band in enumerate(bands):
            found = samples.values[name][..., place]
            if band == "NDVI":
                nir, red = expected["B8"], expected["B4"]
                assert np.allclose(found, (nir - red) / (nir + red), atol=1e-6, equal_nan=True)
            elif name == "topography":
                assert (found[:, 0] == np.nanmean(expected[band], 1)).all()
            else:
                assert np.allclose(found, expected[band], rtol=1e-6, equal_nan=True), band


def test_a_long_table_states_its_recipe_and_keeps_what_is_constant(tmp_path):
    samples = read(write(tmp_path / "long.parquet", rows()))
    assert samples.recipe == RECIPES["monthly-l2a"] and samples.recipe_stated
    assert samples.cycle.first_month == 12 and samples.cycle.number == 15
    assert set(samples.columns["valid_date"]) == {"2017-07-20"} and "wobble" not in samples.columns
    assert not {"timestamp", "lat", *LONG.values()} & set(samples.columns)


def test_dekads_are_steps_too(tmp_path):
    table = []
    for row in rows(points=4, months=6, holes=0):
        first = row["timestamp"] + np.timedelta64(12, "h")
        table += [row | {"timestamp": first + np.timedelta64(days, "D")} for days in (0, 10, 20)]
    samples = read(write(tmp_path / "long.parquet", table))
    assert samples.months[0].tolist() == [12] * 3 + [1] * 3 + [2] * 3 + [3] * 3 + [4] * 3 + [5] * 3
    lengths = (samples.ends - samples.starts)[0].astype(int)
    assert lengths.sum() == 31 + 31 + 28 + 31 + 30 + 31 and lengths[8] == 8


BREAKAGES = {
    "two rows of a step": (lambda t: t.append(t[0]), "several rows"),
    "single days": (
        lambda t: [r.update(timestamp=np.datetime64("2017-03-05")) for r in t[:3]],
        "days such as",
    ),
    "no time": (lambda t: t[0].update(timestamp=np.datetime64("NaT")), "timestamp"),
    "a point that moves": (lambda t: [r.update(lat=i / 10) for i, r in enumerate(t)], "lat"),
    "no place": (lambda t: [r.update(lat=np.nan) for r in t], "lat"),
    "no longitude": (lambda t: [r.pop("lon") for r in t], "no column lon"),
    "texts as numbers": (lambda t: [r.update({LONG["VV"]: "high"}) for r in t], "no numbers"),
    "Celsius": (lambda t: [r.update({LONG["temperature_2m"]: 1500}) for r in t], "temperature_2m"),
    "fractions as labels": (lambda t: [r.update(CROPTYPE_LABEL=0.5) for r in t], "regression"),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_long_table_that_cannot_be_used_says_why(tmp_path, breakage):
    change, words = BREAKAGES[breakage]
    table = rows()
    change(table)
    with pytest.raises(SampleError, match=words):
        read(write(tmp_path / "long.parquet", table))


def wide(starts):
    """Columns of a wide table with 12 steps."""
    rng = np.random.default_rng(1)
    names = {"VV": "SAR-VV-ts{}-20m", "B4": "OPTICAL-B04-ts{}-10m", "B8": "OPTICAL-B08-ts{}-10m"}
    columns = {
        name.format(step): rng.integers(500, 3000, len(starts)).astype(np.uint16)
        for name in names.values()
        for step in range(12)
    }
    columns["SAR-VV-ts3-20m"][0] = NODATA
    return columns | {
        "DEM-alt-20m": np.full(len(starts), 50.0, np.float32),
        "lat": np.linspace(50, 55, len(starts)),
        "lon": np.full(len(starts), 4.0),
        "start_date": np.array(starts),
        "crop": np.array(["a", "b"] * (len(starts) // 2)),
    }


def test_a_wide_table_has_thirty_day_steps(tmp_path):
    columns = wide(["2017-10-26", "2018-12-28"] * 3)
    pq.write_table(pa.table({name: pa.array(c) for name, c in columns.items()}), tmp_path / "w.parquet")
    samples = read(tmp_path / "w.parquet", "crop")
    assert samples.months[0].tolist() == [11, 12, *range(1, 11)] and samples.months[1, 0] == 1
    assert samples.years == (2018, 2019) and samples.recipe.step == "30d"
    assert np.isnan(samples.values["radar"][0, 3, 0]) and np.isfinite(samples.values["radar"][1:]).all()
    stored = columns["SAR-VV-ts7-20m"].astype(float)
    assert np.allclose(samples.values["radar"][:, 7, 0], 20 * np.log10(stored) - 83)
    assert list(samples.columns) == ["start_date", "crop"]


def test_unreadable_start_dates_are_said(tmp_path):
    columns = wide(["soon"] * 4)
    pq.write_table(pa.table({name: pa.array(c) for name, c in columns.items()}), tmp_path / "w.parquet")
    with pytest.raises(SampleError, match="start_date"):
        read(tmp_path / "w.parquet", "crop")


REAL = (
    ("canada2017_long.parquet", "canada2017.npz", "CROPTYPE_LABEL", "2017"),
    ("worldcereal_global_wide.parquet", "worldcereal_global.npz", "LANDCOVER_LABEL", None),
)


@pytest.mark.parametrize(("raw", "made", "label", "season"), REAL)
def test_real_tables_equal_the_arrays_made_of_them(shared, raw, made, label, season):
    folder = shared / "data" / "samples"
    request = SampleRequest(str(folder / raw), label, None, RECIPES["monthly-l2a"], season=season)
    found, expected = read_samples(request), read(folder / made, label)
    assert found.bands == expected.bands and (found.months == expected.months).all()
    for name, values in expected.values.items():
        assert np.array_equal(found.values[name], values, equal_nan=True), name
    for name in ("lat", "lon", "labels", "group"):
        assert (getattr(found, name) == getattr(expected, name)).all(), name
    assert found.years == expected.years
