"""Our own `samples.parquet`: what is written comes back bit by bit."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geocomiss.errors import SampleError
from geocomiss.modalities import MODALITIES
from geocomiss.recipes import RECIPES
from geocomiss.samples import SampleRequest, read_samples, write_samples
from geocomiss.samples.steps import dated_steps
from geocomiss.samples.table import Samples

MIDDLE = {"optical": 2000, "radar": -12, "weather": 280, "topography": 300}


def read(path, label="label", **changes):
    return read_samples(SampleRequest(str(path), label, None, RECIPES["cropharvest"], **changes))


@st.composite
def tables(draw):
    """Samples of random size, modalities, bands, gaps, dates and columns."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, t = draw(st.integers(2, 9)), draw(st.integers(1, 14))
    names = draw(st.sets(st.sampled_from(list(MODALITIES)), min_size=1))
    bands, values = {}, {}
    for name in (name for name in MODALITIES if name in names):
        every = MODALITIES[name].band_names
        bands[name] = tuple(band for band in every if rng.random() < 0.6) or every[:1]
        rows = rng.normal(size=(n, t if MODALITIES[name].dynamic else 1, len(bands[name])))
        x = _scaled(rows, bands[name])
        x[rng.random(x.shape) < 0.3] = np.nan
        values[name] = x
    starts = np.datetime64("2019-11-01") + rng.integers(0, 500, (n, 1)) + np.arange(t) * 30
    steps = dated_steps(starts, starts + 30)
    dated = draw(st.booleans())
    counts = {name: rng.integers(0, 9, (n, t)).astype(np.int16) for name in ("optical", "radar")}
    return Samples(
        name="table", sha256="", values=values, bands=bands,
        labels=np.array(["maïze", "wheat"])[np.arange(n) % 2],
        lat=rng.uniform(-90, 90, n), lon=rng.uniform(-180, 180, n),
        group=rng.integers(0, 4, n).astype(str),
        months=steps.months if dated else rng.integers(0, 13, (n, t)),
        years=steps.years if dated else (2020,),
        columns={
            "fold": rng.integers(0, 5, n), "embedding_0": rng.normal(size=n),
            "dark": rng.random(n) < 0.5, "region": np.array(["a", ""])[rng.integers(0, 2, n)],
        },
        recipe=RECIPES[draw(st.sampled_from(list(RECIPES)))], recipe_stated=draw(st.booleans()),
        simulated=draw(st.booleans()), grouped_by="villages",
        starts=steps.starts if dated else None, ends=steps.ends if dated else None,
        counts=counts if draw(st.booleans()) else {},
    )  # fmt: skip


def _scaled(rows, bands):
    """Inside the physical range of each band, with zeros of both signs where that is inside."""
    out = np.empty(rows.shape, np.float32)
    for place, name in enumerate(bands):
        band = next(m.band(name) for m in MODALITIES.values() if name in m.band_names)
        share = 1 / (1 + np.exp(-rows[..., place]))
        out[..., place] = band.low + (band.high - band.low) * (0.05 + 0.9 * share)
        if band.low < 0 < band.high:
            out[..., place].flat[::3] = -0.0
    return out


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@given(tables())
def test_what_is_written_comes_back_bit_by_bit(tmp_path, samples):
    path = tmp_path / "table.parquet"
    write_samples(samples, path)
    found = read(path)
    assert found.bands == samples.bands and list(found.values) == list(samples.values)
    for name, rows in samples.values.items():
        assert same(found.values[name], rows)
    for name in ("lat", "lon", "months"):
        assert same(getattr(found, name), getattr(samples, name))
    for name in ("labels", "group"):
        assert (getattr(found, name) == getattr(samples, name)).all()
    assert (found.starts is None) == (samples.starts is None)
    if samples.starts is not None:
        assert (found.starts == samples.starts).all() and (found.ends == samples.ends).all()
    assert list(found.counts) == list(samples.counts)
    assert all(same(found.counts[name], rows) for name, rows in samples.counts.items())
    for name, column in samples.columns.items():
        assert column.dtype.kind == "U" or same(found.columns[name], column)
        assert (found.columns[name] == column).all()
    for name in ("name", "years", "recipe", "recipe_stated", "simulated", "grouped_by", "cycle"):
        assert getattr(found, name) == getattr(samples, name), name
    assert [file.name for file in tmp_path.iterdir()] == ["table.parquet"]


@pytest.fixture
def table(tmp_path):
    """A small table on disk, and the samples."""
    n, t = 12, 12
    starts = np.tile(np.arange("2021-01", "2022-01", dtype="datetime64[M]").astype("datetime64[D]"), (n, 1))
    ends = np.tile(np.arange("2021-02", "2022-02", dtype="datetime64[M]").astype("datetime64[D]"), (n, 1))
    radar = np.full((n, t, 2), [-10, -17], np.float32)
    samples = Samples(
        name="table", sha256="", values={"radar": radar}, bands={"radar": ("VV", "VH")},
        labels=np.array(["maize", "wheat"] * 6), lat=np.linspace(50, 51, n), lon=np.full(n, 4.0),
        group=np.arange(n).astype(str), months=np.tile(np.arange(1, 13), (n, 1)), years=(2021,),
        columns={"label": np.array(["Mais", "Weizen"] * 6), "lat": np.linspace(50, 51, n)},
        recipe=RECIPES["monthly-l2a"], recipe_stated=True, starts=starts, ends=ends,
    )  # fmt: skip
    write_samples(samples, tmp_path / "table.parquet")
    return samples, tmp_path / "table.parquet"


def test_the_layout_is_what_others_can_read(table):
    _, path = table
    file = pq.read_table(path)
    assert file.schema.field("VV").type == pa.list_(pa.float32(), 12)
    assert file.schema.field("step_start").type == pa.list_(pa.date32(), 12)
    assert {"label", "lat", "lon", "group", "step_end"} <= set(file.column_names)
    assert json.loads(file.schema.metadata[b"recipe"])["s2_level"] == "L2A"
    assert json.loads(file.schema.metadata[b"calendar"]) == {"first_month": 1, "step": "month", "number": 12}


def test_a_column_in_the_way_of_the_layout_is_kept_under_another_name(table):
    found = read(table[1])
    assert list(found.columns["raw_label"][:2]) == ["Mais", "Weizen"] and "raw_lat" not in found.columns
    assert set(read(table[1], "raw_label").labels) == {"Mais", "Weizen"}


def test_what_the_table_states_wins_over_the_request(table):
    found = read(table[1])
    assert found.recipe == RECIPES["monthly-l2a"] and found.recipe_stated and found.grouped_by
    assert (found.group == table[0].group).all() and set(read(table[1], group="label").group) == {
        "maize",
        "wheat",
    }


def test_an_existing_file_is_replaced_whole_or_not_at_all(table, tmp_path, monkeypatch):
    samples, path = table
    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", lambda *a, **k: (_ for _ in ()).throw(OSError(28, "No space left")))
        with pytest.raises(SampleError, match="No space left"):
            write_samples(samples, path)
    assert path.read_bytes() == before
    write_samples(samples.take(np.arange(6)), path)
    assert len(read(path)) == 6


def test_a_folder_that_is_not_there_is_said(table, tmp_path):
    with pytest.raises(SampleError, match="cannot be written"):
        write_samples(table[0], tmp_path / "nowhere" / "table.parquet")


def rewritten(path, change):
    file = pq.read_table(path)
    pq.write_table(change(file), path)


def stated(file, **changes):
    metadata = {**file.schema.metadata, **{key.encode(): value for key, value in changes.items()}}
    return file.replace_schema_metadata(metadata)


BREAKAGES = {
    "newer version": (lambda f: stated(f, geocomiss=b'{"format": 2}'), "version 2"),
    "metadata no JSON": (lambda f: stated(f, geocomiss=b"{"), "cannot be read"),
    "recipe incomplete": (lambda f: stated(f, recipe=b'{"name": "x"}'), "recipe"),
    "no latitude": (lambda f: f.drop_columns(["lat"]), "no lat"),
    "no band": (lambda f: f.drop_columns(["VV", "VH"]), "no band"),
    "no days": (lambda f: f.drop_columns(["step_end"]), "step_end"),
    "a band of single values": (
        lambda f: f.set_column(f.schema.get_field_index("VV"), "VV", pa.array([1.0] * 12)),
        "lists of one length",
    ),
    "linear power": (
        lambda f: f.set_column(
            f.schema.get_field_index("VH"),
            "VH",
            pa.FixedSizeListArray.from_arrays(pa.array(np.full(144, 0.02, np.float32)), 12),
        ),
        "VH",
    ),
}


@pytest.mark.parametrize("breakage", BREAKAGES)
def test_a_table_that_cannot_be_used_says_why(table, breakage):
    change, words = BREAKAGES[breakage]
    rewritten(table[1], change)
    with pytest.raises(SampleError, match=words):
        read(table[1])


def test_a_truncated_file_is_refused(table):
    table[1].write_bytes(table[1].read_bytes()[:600])
    with pytest.raises(SampleError, match=r"table\.parquet cannot be read"):
        read(table[1])


def test_parquet_of_something_else_is_no_table(tmp_path):
    pq.write_table(pa.table({"x": [1.0]}), tmp_path / "x.parquet")
    with pytest.raises(SampleError, match="no samples table"):
        read(tmp_path / "x.parquet")


def test_a_real_table_makes_the_round_trip(shared, tmp_path):
    request = SampleRequest(
        str(shared / "data" / "samples" / "canada2017.npz"), "label", None, RECIPES["monthly-l2a"]
    )
    samples = read_samples(request)
    write_samples(samples, tmp_path / "canada.parquet")
    found = read(tmp_path / "canada.parquet")
    assert all(same(found.values[name], rows) for name, rows in samples.values.items())
    assert (found.labels == samples.labels).all() and found.cycle == samples.cycle
    assert set(found.columns) == set(samples.columns)
