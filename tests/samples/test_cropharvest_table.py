"""CropHarvest as its authors publish it: order, channels, folds, and the array file that is kept."""

import os

import numpy as np
import pytest
from small_cropharvest import CHANNELS, array, point, write_h5, write_labels

from geocomiss.errors import SampleError
from geocomiss.inspection import inspect
from geocomiss.recipes import RECIPES
from geocomiss.samples import SampleRequest, cropharvest, h5, read_samples
from geocomiss.samples.folds import authors_folds

POINTS = [
    point(0, "togo", 0, None),
    point(1, "france-2018", 1, "cereals"),
    point(1, "togo", 1, None, export_end_date="2020-04-15"),  # the same index in another set
    point(2, "france-2018", 0, "non_crop"),
    point(3, "france-2018", 1, "sugar"),
    point(4, "france-2018", 1, "cereals"),  # no file
    point(5, "kenya", 1, "cereals", is_test=True),
    point(6, "kenya", 1, "cereals"),
]
ORDER = ["1_france-2018", "1_togo", "3_france-2018", "6_kenya", "0_togo", "2_france-2018"]


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "cropharvest"
    (folder / "features" / "arrays").mkdir(parents=True)
    write_labels(folder, POINTS)
    for place, each in enumerate(POINTS):
        if each["index"] != 4:
            write_h5(folder / "features" / "arrays" / f"{each['index']}_{each['dataset']}.h5", array(place))
    return folder


def read(root, label="classification_label", **changes):
    return read_samples(SampleRequest(str(root), label, None, RECIPES["monthly-l2a"], **changes))


def test_crops_come_first_then_the_rest_without_tests_and_without_those_that_have_no_file(root):
    samples = read(root, "is_crop")
    assert samples.columns["identifier"].tolist() == ORDER
    assert samples.labels.tolist() == ["crop"] * 4 + ["non_crop"] * 2


def test_multi_keeps_what_has_a_class(root):
    samples = read(root)
    assert samples.columns["identifier"].tolist() == [ORDER[0], ORDER[2], ORDER[3], ORDER[5]]
    assert samples.labels.tolist() == ["cereals", "sugar", "cereals", "non_crop"]


def test_channels_stand_where_the_authors_put_them(root):
    samples = read(root, "is_crop")
    stored = array(POINTS.index(POINTS[4])).astype(np.float32)
    row = ORDER.index("3_france-2018")
    assert samples.bands["optical"] == (*CHANNELS[2:13], "NDVI")
    for name, bands in samples.bands.items():
        columns = [CHANNELS.index(band) for band in bands]
        expected = stored[:1, columns] if name == "topography" else stored[:, columns]
        assert np.array_equal(samples.values[name][row], expected)


def test_what_is_called_ndvi_is_read_as_stored_and_said(root):
    samples = read(root)
    optical = {band: samples.values["optical"][..., i] for i, band in enumerate(samples.bands["optical"])}
    as_stored = (optical["B7"] - optical["B3"]) / (optical["B7"] + optical["B3"])
    assert np.allclose(optical["NDVI"], as_stored, atol=1e-6)
    assert samples.recipe == RECIPES["cropharvest"] and samples.recipe.ndvi == "cropharvest"
    assert samples.recipe_stated and samples.recipe.screened and not read(root, parity=True).recipe.screened


def test_steps_are_twelve_of_thirty_days_that_end_on_the_first_of_february(root):
    samples = read(root, "is_crop")
    assert samples.cycle.first_month == 2 and samples.cycle.step == "30d" and samples.years == (2019, 2020)
    assert str(samples.starts[0, 0]) == "2018-02-06" and str(samples.ends[0, -1]) == "2019-02-01"
    assert str(samples.starts[1, 0]) == "2019-02-06" and str(samples.ends[1, -1]) == "2020-02-01"
    assert len(read(root, "is_crop", season="2019")) == 5  # the year in which the last step ends


def test_folds_are_the_authors(root):
    np.random.seed(10)  # as they do it: names, shuffled in place
    names = [f"{i}_x" for i in range(137)]
    np.random.shuffle(names)
    parts = np.array_split(names, 10)
    folds = authors_folds(137)
    assert all(f"{i}_x" in parts[folds[i]] for i in range(137))
    samples = read(root)
    assert samples.columns["fold"].tolist() == authors_folds(4).tolist()
    assert read(root, "is_crop").columns["fold_binary"].tolist() == authors_folds(6).tolist()
    assert (read(root, "is_crop").columns["fold"] == -1).sum() == 2


def test_a_point_that_is_not_read_need_not_be_whole(root):
    lame = [
        point(4, "france-2018", 1, "cereals", lat=None),
        point(8, "kenya", 0, None, is_test=True, export_end_date=None),
    ]
    write_labels(root, [each for each in POINTS if each["index"] != 4] + lame)
    assert len(read(root, "is_crop")) == 6


def test_info_knows_it(root):
    facts = inspect(str(root))
    assert (facts["samples"], facts["steps"], facts["recipe"]) == (6, 12, "cropharvest")


def test_groups_are_cells(root):
    assert "cells" in read(root).grouped_by and len(set(read(root, "is_crop").group)) >= 4


def test_the_second_reading_opens_no_file(root, monkeypatch):
    first = read(root, "is_crop")
    monkeypatch.setattr(h5, "_read_one", lambda *_: pytest.fail("opened a file again"))
    second = read(root, "is_crop")
    assert all(np.array_equal(second.values[name], first.values[name]) for name in first.values)
    assert second.sha256 == first.sha256


def test_a_changed_or_new_file_is_seen(root):
    before = read(root, "is_crop")
    path = root / "features" / "arrays" / "1_togo.h5"
    write_h5(path, array(99))
    os.utime(path, ns=(1, 1))
    after = read(root, "is_crop")
    assert np.array_equal(after.values["radar"][1], array(99)[:, :2].astype(np.float32))
    assert after.sha256 != before.sha256
    write_h5(root / "features" / "arrays" / "4_france-2018.h5", array(5))
    assert len(read(root, "is_crop")) == 7


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken"])
def test_a_damaged_array_file_is_made_again(root, content):
    read(root)
    cache = root / "features" / h5.CACHE
    cache.write_bytes(content)
    assert len(read(root)) == 4 and cache.stat().st_size > 1000


def test_a_folder_that_cannot_be_written_is_read_all_the_same(root, monkeypatch):
    monkeypatch.setattr(np, "savez", lambda *_, **__: (_ for _ in ()).throw(OSError(30, "read-only")))
    assert len(read(root)) == 4 and not (root / "features" / h5.CACHE).exists()


def break_file(root, change):
    change(root / "features" / "arrays" / "1_togo.h5")


BREAKAGES = {
    "labels no JSON": (lambda r: (r / "labels.geojson").write_text("{"), "cannot be read"),
    "labels no collection": (lambda r: (r / "labels.geojson").write_text("[]"), "cannot be read"),
    "no end date": (lambda r: write_labels(r, [point(0, "togo", 1, "a", export_end_date="soon")]), "soon"),
    "no place": (lambda r: write_labels(r, [point(0, "togo", 1, "a", lat=95)]), "95"),
    "no number as place": (lambda r: write_labels(r, [point(0, "togo", 1, "a", lat=None)]), "0_togo"),
    "a property less": (lambda r: write_labels(r, [{"index": 1}]), "cannot be read"),
    "nothing in common": (lambda r: write_labels(r, [point(77, "togo", 1, "a")]), "data cropharvest"),
    "no arrays": (lambda r: (r / "features" / "arrays").rename(r / "elsewhere"), "arrays cannot be read"),
    "empty h5": (lambda r: break_file(r, lambda p: p.write_bytes(b"")), "1_togo.h5"),
    "another shape": (lambda r: break_file(r, lambda p: write_h5(p, array(0)[:, :17])), r"\(12, 17\)"),
    "another name": (lambda r: break_file(r, lambda p: write_h5(p, array(0), "x")), "1_togo.h5"),
    "Celsius": (
        lambda r: [write_h5(p, array(0) - 273) for p in (r / "features" / "arrays").glob("*.h5")],
        "lie outside",
    ),
}  # fmt: skip


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_folder_that_cannot_be_used_says_why(root, breakage):
    change, words = BREAKAGES[breakage]
    change(root)
    with pytest.raises(SampleError, match=words):
        read(root, "is_crop")


def test_a_folder_without_labels_is_no_table(tmp_path):
    with pytest.raises(SampleError, match="no samples table"):
        read(tmp_path)
    assert not cropharvest.recognise(tmp_path)
