"""The `.npz` layout, legends, groups and folds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocomiss.errors import SampleError
from geocomiss.recipes import RECIPES
from geocomiss.samples import SampleRequest, read_samples
from geocomiss.samples.folds import CELL_SIZES, automatic_groups, fold_of, grouped_split
from geocomiss.samples.legend import read_legend
from geocomiss.samples.series import torn

CHANNELS = [
    "VV", "VH", "B2", "B3", "B4", "B5", "B6", "B7", "B8", "B8A", "B9", "B11", "B12",
    "temperature_2m", "total_precipitation", "elevation", "slope", "NDVI",
]  # fmt: skip
TYPICAL = [-10, -17, 500, 700, 800, 1200, 2000, 2400, 2600, 2700, 900, 1800, 1100, 285, 0.06, 120, 2, 0.5]


def table(n=24, steps=12):
    """Arrays of a good table; tests break them one by one."""
    rng = np.random.default_rng(0)
    x = np.array(TYPICAL) * rng.uniform(0.9, 1.1, (n, steps, 1))
    x[..., 15:17] = x[:, :1, 15:17]
    valid = rng.random((n, steps, 18)) > 0.2
    valid[..., CHANNELS.index("B9")] = False
    valid[..., 15:17] = True
    return {
        "X": np.where(valid, x, 0).astype(np.float32),
        "valid": valid,
        "bands": np.array(CHANNELS),
        "times": np.array([f"2021-{month:02d}-01" for month in range(1, 13)]),
        "lat": np.linspace(50, 51, n),
        "lon": np.linspace(4, 5, n),
        "crop": np.array(["maize", "wheat", "grass"])[np.arange(n) % 3],
        "region": np.array(["north", "south"])[np.arange(n) % 2],
        "precipitation_unit": np.array("m per step"),
    }


@pytest.fixture
def write(tmp_path):
    def write(arrays):
        np.savez(tmp_path / "table.npz", **arrays)
        return tmp_path / "table.npz"

    return write


def read(path, label="crop", legend=None, **changes):
    return read_samples(SampleRequest(str(path), label, legend, RECIPES["monthly-l2a"], **changes))


def test_what_is_not_valid_is_nan_and_nothing_else_is(write):
    arrays = table()
    arrays["X"][~arrays["valid"]] = 777  # whatever lies there is not read
    samples = read(write(arrays))
    optical = samples.values["optical"]
    columns = [CHANNELS.index(band) for band in samples.bands["optical"]]
    assert np.array_equal(np.isfinite(optical), arrays["valid"][..., columns])
    assert np.array_equal(
        optical[np.isfinite(optical)], arrays["X"][..., columns][arrays["valid"][..., columns]]
    )


def test_bands_and_modalities_valid_nowhere_are_absent(write):
    arrays = table()
    arrays["valid"][..., CHANNELS.index("B8A")] = False
    for band in ("temperature_2m", "total_precipitation", "elevation", "slope"):
        arrays["valid"][..., CHANNELS.index(band)] = False
    del arrays["precipitation_unit"]
    samples = read(write(arrays))
    assert list(samples.bands) == ["optical", "radar"]
    assert not {"B8A", "B9"} & set(samples.bands["optical"])


def test_precipitation_is_in_metres_a_day_whatever_the_file_says(write):
    arrays = table()
    column = CHANNELS.index("total_precipitation")
    raw = np.where(arrays["valid"][..., column], arrays["X"][..., column], np.nan)
    days = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
    assert np.allclose(read(write(arrays)).values["weather"][..., 1], raw / days, equal_nan=True)
    thirty = {**arrays, "start_date": np.array(["2020-12-20"] * 24)}
    assert np.allclose(read(write(thirty)).values["weather"][..., 1], raw / 30, equal_nan=True)
    arrays["X"][..., column] /= 30
    daily = {**arrays, "precipitation_unit": np.array("m per day")}
    assert np.allclose(read(write(daily)).values["weather"][..., 1], raw / 30, equal_nan=True)


@pytest.mark.parametrize("unit", ["mm per day", None])
def test_an_unknown_precipitation_unit_is_refused(write, unit):
    arrays = table() | {"precipitation_unit": np.array(unit or "")}
    if unit is None:
        del arrays["precipitation_unit"]
    with pytest.raises(SampleError, match="precipitation"):
        read(write(arrays))


def test_topography_comes_from_its_first_valid_step(write):
    arrays = table()
    arrays["valid"][:, 0, 15:17] = False
    arrays["X"][:, 0, 15:17] = 0
    arrays["X"][:, 1, 15] = 321
    found = read(write(arrays)).values["topography"]
    assert found.shape == (24, 1, 2) and (found[:, 0, 0] == 321).all()


def test_a_step_belongs_to_the_month_of_its_middle_day(write):
    arrays = table()
    assert read(write(arrays)).months[0].tolist() == list(range(1, 13))
    starts = np.array(["2017-10-26", "2017-10-30"] * 12)
    late = read(write(arrays | {"start_date": starts}))
    assert (late.months == [11, 12, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]).all()
    assert late.years == (2018,) and late.cycle.first_month == 11


def test_a_table_without_times_takes_its_months_or_none(write):
    arrays = table()
    del arrays["times"]
    arrays["month"] = np.tile(np.arange(12), (24, 1))
    assert read(write(arrays)).cycle.first_month == 1
    del arrays["month"]
    arrays["precipitation_unit"] = np.array("m per day")
    arrays["X"][..., 14] /= 30
    unknown = read(write(arrays))
    assert not unknown.months.any() and unknown.cycle is None and unknown.years == ()


def test_mixed_calendars_have_no_cycle(write):
    arrays = table() | {"start_date": np.array(["2017-10-26", "2017-12-29"] * 12)}
    assert read(write(arrays)).cycle is None


def test_channels_that_are_no_band_are_named(write):
    arrays = table()
    arrays["valid"][..., :11] = True
    arrays["X"][..., :11] = TYPICAL[:11]
    assert not any("not read" in note for note in read(write(arrays)).notes)
    arrays["bands"] = np.array(
        [{"B8": "nir", "VH": "vh"}.get(name, name) for name in arrays["bands"].tolist()]
    )
    samples = read(write(arrays))
    assert "channels that are no band of ours are not read: vh, nir" in samples.notes
    assert "B8" not in samples.bands["optical"] and samples.bands["radar"] == ("VV",)


def test_a_band_that_is_rarely_there_and_takes_its_modality_away_is_named(write):
    arrays = table()
    arrays["valid"][:] = arrays["valid"][:, :, 15:16]  # whole steps, and none of B9
    arrays["X"][:] = TYPICAL
    assert read(write(arrays)).notes == ()
    arrays["valid"][3:, :, CHANNELS.index("B4")] = False
    (note,) = read(write(arrays)).notes
    assert "88% of the steps of optical count as missing" in note and ": B4 (12%) of" in note


@pytest.mark.filterwarnings("error")
def test_a_modality_that_is_nowhere_there_loses_nothing_to_its_bands():
    assert torn({"radar": np.full((2, 3, 2), np.nan)}, {"radar": ("VV", "VH")}) == ()


def claim(arrays, value):
    arrays["X"][3, 2, 4] = value
    arrays["valid"][3, 2, 4] = True


def scale(arrays, channel, factor, offset):
    arrays["X"][..., channel] = arrays["X"][..., channel] * factor + offset


BREAKAGES = {
    "label missing": (lambda a: a.pop("crop"), "region"),
    "one class": (lambda a: a.update(crop=np.array(["maize"] * 24)), "1 class"),
    "regression target": (lambda a: a.update(crop=np.linspace(0, 9.5, 24)), "regression"),
    "valid but NaN": (lambda a: claim(a, np.nan), "marked valid"),
    "valid but infinite": (lambda a: claim(a, np.inf), "marked valid"),
    "no valid": (lambda a: a.pop("valid"), "has no valid"),
    "valid of another shape": (lambda a: a.update(valid=a["valid"][:, :5]), "valid of shape"),
    "valid not bool": (lambda a: a.update(valid=a["valid"].astype(int)), "type int64.*C; bool"),
    "nothing valid": (lambda a: a["valid"].fill(False), "no valid value"),
    "bands too few": (lambda a: a.update(bands=a["bands"][:5]), "channels"),
    "unknown bands": (lambda a: a.update(bands=np.array([f"Q{i}" for i in range(18)])), "some of B2, B3"),
    "latitude of 200": (lambda a: a.update(lat=a["lat"] + 150), "lat"),
    "reflectance in 0..1": (lambda a: scale(a, slice(2, 13), 1e-4, 0), "reflectance"),
    "Celsius": (lambda a: scale(a, 13, 1, -273.15), "K"),
    "dates backwards": (lambda a: a.update(times=a["times"][::-1]), "ascend"),
    "dates unreadable": (lambda a: a.update(times=np.array(["soon"] * 12)), "dates"),
    "too few dates": (lambda a: a.update(times=a["times"][:4]), "4 times"),
    "pickled labels": (lambda a: a.update(crop=np.array(["a", 1, None] * 8, dtype=object)), "pickled"),
}  # fmt: skip


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_table_that_cannot_be_used_says_why(write, breakage):
    arrays = table()
    change, words = BREAKAGES[breakage]
    change(arrays)
    with pytest.raises(SampleError, match=words) as error:
        read(write(arrays))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"\x80\x04K\x01.", b"label,class\n"])
def test_a_file_that_is_no_npz_is_refused(tmp_path, content):
    (tmp_path / "table.npz").write_bytes(content)
    with pytest.raises(SampleError, match=r"table\.npz"):
        read(tmp_path / "table.npz")


def test_a_truncated_table_is_refused(write):
    path = write(table())
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(SampleError, match="cannot be read"):
        read(path)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(SampleError, match="nowhere"):
        read(tmp_path / "nowhere.npz")


def legend_of(tmp_path, text):
    (tmp_path / "legend.csv").write_text(text, encoding="utf-8")
    return read_legend(tmp_path / "legend.csv")


def test_a_legend_merges_labels_and_leaves_out_the_rest(write, tmp_path):
    legend = legend_of(tmp_path, "label,class,color\nwheat,cereal,#AA7700\nmaize,cereal,\ngrass,meadow,\n")
    assert legend.order == ("cereal", "meadow") and legend.colors == {"cereal": "#aa7700"}
    samples = read(write(table()), legend=legend)
    assert sorted(set(samples.labels)) == ["cereal", "meadow"] and len(samples) == 24
    fewer = read(write(table()), legend=legend_of(tmp_path, "label,class\nwheat,a\nmaize,b\ngrass,\n"))
    assert len(fewer) == 16 and fewer.values["optical"].shape[0] == 16
    assert "8 samples were left out: legend.csv has no class for grass" in fewer.notes


def test_one_word_in_two_encodings_of_its_accents_is_one_class(write, tmp_path):
    places = np.arange(24)
    labels = np.where(places % 3 == 0, "ma\u00efs", np.where(places % 3 == 1, "mai\u0308s ", "grass"))
    samples = read(write({**table(), "crop": labels}))
    assert sorted(set(samples.labels)) == ["grass", "ma\u00efs"]
    assert not any("spelling" in note for note in samples.notes)
    legend = legend_of(tmp_path, "label,class\nmai\u0308s,a\ngrass,b\n")
    assert sorted(read(write({**table(), "crop": labels}), legend=legend).labels) == ["a"] * 16 + ["b"] * 8


def test_classes_that_differ_in_spelling_alone_are_told(write):
    labels = np.where(np.arange(24) < 3, "Maize", np.where(np.arange(24) < 12, "maize", "grass"))
    assert (
        "labels that differ in spelling alone are classes of their own: 'Maize' and 'maize'; "
        "merge them with --legend"
    ) in read(write({**table(), "crop": labels})).notes


def test_nan_in_words_is_no_class(write):
    labels = np.where(np.arange(24) < 3, "NaN", table()["crop"])
    samples = read(write({**table(), "crop": labels}))
    assert len(samples) == 21 and "3 samples without a label were left out" in samples.notes


def test_samples_without_a_label_are_left_out_and_that_is_said(write):
    labels = np.where(np.arange(24) < 3, "", table()["crop"])
    samples = read(write({**table(), "crop": labels}))
    assert len(samples) == 21 and samples.notes[-1] == "3 samples without a label were left out"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name,class\nmaize,a\n", "columns"),
        ("label,class\n", "no class"),
        ("label,class\nmaize,a\nmaize,b\n", "two classes"),
        ("label,class,color\nmaize,a,red\n", "colour"),
        ("label,class,color\nmaize,a,#000000\nwheat,a,#ffffff\n", "two colours"),
    ],
)
def test_a_legend_that_cannot_be_used_says_why(tmp_path, text, words):
    with pytest.raises(SampleError, match=words):
        legend_of(tmp_path, text)


def test_a_legend_that_leaves_nothing_is_refused(write, tmp_path):
    with pytest.raises(SampleError, match="0 classes"):
        read(write(table()), legend=legend_of(tmp_path, "label,class\nrice,paddy\n"))


def test_groups_come_from_the_largest_cells_that_are_ten():
    lat = np.linspace(40, 51, 60)
    names, size = automatic_groups(lat, np.full(60, 3.0))
    assert size == 1.0 and len(set(names)) == 12
    larger = CELL_SIZES[CELL_SIZES.index(size) - 1]
    assert len(set(np.floor(lat / larger))) < 10


def test_a_group_column_is_taken_as_it_is(write):
    samples = read(write(table()), group="region")
    assert set(samples.group) == {"north", "south"} and "region" in samples.grouped_by
    with pytest.raises(SampleError, match="crop, region"):
        read(write(table()), group="country")


@given(st.integers(0, 1000), st.integers(2, 30), st.floats(0.05, 0.6))
def test_a_split_holds_out_whole_groups_and_keeps_some(seed, groups, share):
    rng = np.random.default_rng(seed)
    group = rng.integers(0, groups, 80).astype(str)
    group[:2] = ["0", "1"]
    y = rng.integers(0, 3, 80)
    held = grouped_split(group, y, share, rng)
    assert held.any() and not held.all()
    assert not set(group[held]) & set(group[~held])
    assert np.array_equal(held, grouped_split(group, y, share, _rewound(seed, groups)))


def _rewound(seed, groups):
    rng = np.random.default_rng(seed)
    rng.integers(0, groups, 80), rng.integers(0, 3, 80)
    return rng


def test_one_group_cannot_be_split():
    with pytest.raises(SampleError, match="one spatial group"):
        grouped_split(np.array(["a"] * 9), np.zeros(9, int), 0.2, np.random.default_rng(0))


def test_a_fold_is_a_value_of_a_column(samples):
    assert fold_of(samples, "fold=1").sum() == 60
    assert (samples.columns["region"][fold_of(samples, "region = north")] == "north").all()
    for wrong, words in (("fold", "KEY=VALUE"), ("country=1", "region"), ("fold=7", "0, 1, 2")):
        with pytest.raises(SampleError, match=words):
            fold_of(samples, wrong)


REAL = {
    "canada2017": ("label", 2721, 1, 10),
    "flanders2018": ("croptype", 500, 11, 11),
    "worldcereal_global": ("landcover", 500, None, 11),
    "france2022_corsica": ("croptype24", 500, 9, 10),
    "france2023_dekad": ("croptype24", 500, None, 10),
    "itu_cropland": ("y", 1500, None, 12),
    "algae_blooms": ("y", 1122, None, 12),
}


@pytest.mark.parametrize("name", REAL)
def test_real_tables_are_read(shared, name):
    label, number, first_month, bands = REAL[name]
    samples = read(shared / "data" / "samples" / f"{name}.npz", label)
    assert len(samples) == number and len(samples.bands["optical"]) == bands
    assert (samples.cycle and samples.cycle.first_month) == first_month
    assert len(set(samples.group)) >= 10
    if "weather" in samples.values:
        assert 0.0005 < np.nanmean(samples.values["weather"][..., 1]) < 0.006  # metres a day


def test_a_real_regression_target_is_refused(shared):
    with pytest.raises(SampleError, match="regression"):
        read(shared / "data" / "samples" / "fuel_moisture.npz", "y")


def test_simulated_samples_are_read_by_name():
    samples = read("simulated", "label", n=60, sim_seed=3)
    assert len(samples) == 60 and samples.simulated and samples.recipe_stated
    assert set(read("simulated", "label", n=60, sim_seed=3, group="year").group) <= set(
        map(str, range(2018, 2025))
    )
    for wrong in ({"label": "crop"}, {"label": "label", "group": "village"}):
        with pytest.raises(SampleError, match="no column"):
            read("simulated", n=60, **wrong)
