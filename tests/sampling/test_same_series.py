"""A sample holds exactly what a map reads at its pixel, whatever the source, the CRS and the tile."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
import torch
from gappy import GRID, untrained, untrained_for
from sampling_places import at

import geocomiss.mapping.compute as mapping
from geocomiss.batch import Batch, Spec
from geocomiss.checkpoint import read_card
from geocomiss.mapping import MapRequest, make_map
from geocomiss.recipes import RECIPES
from geocomiss.samples import SampleRequest, read_samples
from geocomiss.samples.tensors import batch_of_samples
from geocomiss.sampling import SamplingRequest, sample_points
from geocomiss.seasons import Cycle


def batches_of_map(request: MapRequest, monkeypatch: pytest.MonkeyPatch) -> Batch:
    """What a map of one tile hands to its model."""
    seen: list[Batch] = []
    real = mapping.predict

    def watched(method: Any, batch: Batch, *args: Any, readout: Any, probabilities: bool) -> Any:
        seen.append(batch)
        return real(method, batch, *args, readout=readout, probabilities=probabilities)

    monkeypatch.setattr(mapping, "predict", watched)
    make_map(request)
    assert len(seen) == 1
    return seen[0]


def assert_same(sampled: Batch, mapped: Batch, rows: np.ndarray) -> None:
    """Every valid value, every filled gap, and what is available, bit for bit."""
    chosen = torch.from_numpy(rows)
    part = mapped[chosen]
    assert torch.equal(sampled.available, part.available)
    for name in sampled.modalities:
        column = sampled.modalities.index(name)
        here = part.kept[:, column]
        valid = [batch.valid[name][batch.rows(name)][here] for batch in (sampled, part)]
        x = [batch.x[name][batch.rows(name)][here] for batch in (sampled, part)]
        assert torch.equal(*valid)
        assert torch.equal(x[0].nan_to_num(-1e9), x[1].nan_to_num(-1e9))
    assert torch.equal(sampled.months, part.months)


def batch_at(path: Path, spec: Spec) -> Batch:
    samples = read_samples(SampleRequest(str(path), "label", None, RECIPES["cropharvest"]))
    return batch_of_samples(samples, spec)


@pytest.mark.parametrize("crs", ["EPSG:32631", "EPSG:4326", "EPSG:3035"])
def test_of_a_stored_stack_with_gaps(
    stack: Path, write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, crs: str
) -> None:
    rng = np.random.default_rng(0)
    pixels = np.unique(rng.integers(0, GRID.height * GRID.width, 200))
    row, col = np.divmod(pixels, GRID.width)
    places = [at(r + 0.3, c + 0.8) for r, c in zip(row, col, strict=True)]
    points = write(places, ["maize", "wheat"] * (len(places) // 2) + ["maize"] * (len(places) % 2), crs)
    out = tmp_path / "samples.parquet"
    report = sample_points(SamplingRequest(points, str(stack), out, season="2021", tile=16))
    model = untrained(tmp_path)
    mapped = batches_of_map(MapRequest(str(stack), tmp_path / "map", model=str(model)), monkeypatch)
    assert report.n == len(pixels)
    assert_same(batch_at(out, read_card(str(model)).spec), mapped, pixels)


@pytest.mark.slow
def test_of_the_simulated_world_in_two_zones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    west, south, east, north = 5.9990, 50.6200, 6.0010, 50.6206  # across the edge of zones 31 and 32
    lon, lat = np.random.default_rng(1).uniform([west, south], [east, north], (30, 2)).T
    points = tmp_path / "points.geojson"
    frame = geopandas.GeoDataFrame({"label": ["a", "b"] * 15}, geometry=geopandas.points_from_xy(lon, lat))
    frame.set_crs(4326).to_file(points)
    out = tmp_path / "samples.parquet"
    sample_points(SamplingRequest(points, "simulated", out, season="2021", crs="EPSG:32631", tile=8))
    both = tmp_path / "both.parquet"
    split = sample_points(SamplingRequest(points, "simulated", both, season="2021", tile=8))
    edge = 0.0003  # the centre of an outermost point's pixel may lie outside the points' own box
    box = f"{west - edge},{south - edge},{east + edge},{north + edge}"
    request = MapRequest("simulated", tmp_path / "map", box, "2021", crs="EPSG:32631")
    mapped = batches_of_map(request, monkeypatch)
    assert split.n + len(split.left_out) == 30  # each in the grid of its own zone
    assert all("same pixel" in why for why in split.reasons)
    spec = read_card("simulated").spec
    found = batch_at(out, spec)
    keys = {row.tobytes(): number for number, row in enumerate(_flat(mapped))}
    rows = np.array([keys[row.tobytes()] for row in _flat(found)])  # each is a pixel of the map
    assert_same(found, mapped, rows)


def _flat(batch: Batch) -> np.ndarray:
    return batch.x["radar"][batch.rows("radar")].flatten(1).numpy()


@pytest.mark.slow
def test_of_raw_acquisitions(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = shared / "data" / "patches"
    model = untrained_for(source, tmp_path, Cycle(11, "month", 12))
    request = MapRequest(str(source), tmp_path / "map", season="2017-11:2018-10", model=str(model))
    mapped = batches_of_map(request, monkeypatch)
    pixels = np.array([0, 70, 1000, 2080, 4095])
    row, col = np.divmod(pixels, 64)
    x, y = 501360 + 10 * col + 5.0, 5629680 - 10 * row - 5.0
    frame = geopandas.GeoDataFrame({"label": list("ababa")}, geometry=geopandas.points_from_xy(x, y))
    frame.set_crs(32631).to_file(tmp_path / "points.gpkg")
    asked = SamplingRequest(
        tmp_path / "points.gpkg", str(source), tmp_path / "samples.parquet", season="2017-11:2018-10"
    )
    sample_points(replace(asked, tile=8))
    assert_same(batch_at(asked.out, read_card(str(model)).spec), mapped, pixels)
