"""Cluster samples: squares and pixels by chance, weights that add up to the map, a round through assess."""

from collections.abc import Callable
from pathlib import Path

import geopandas
import numpy as np
import pytest
from assessed import CLASSES, GRID
from numpy.typing import NDArray
from typer.testing import CliRunner

from geocomiss.accuracy import AssessRequest, ClusterRequest, assess_map, draw_clusters
from geocomiss.accuracy.clusters import _counts, draw_pixels
from geocomiss.accuracy.raster import open_map
from geocomiss.errors import MapError, SampleError
from geocomiss_cli.main import app

Make = Callable[..., ClusterRequest]


@pytest.fixture
def request_of(map_folder: Path, tmp_path: Path) -> Make:
    def make(n: int = 120, side: float = 130, per_cluster: int = 6, seed: int = 0) -> ClusterRequest:
        return ClusterRequest(map_folder, tmp_path / "clusters.gpkg", n, side, per_cluster, seed)

    return make


def test_squares_are_counted_as_the_map_has_them(map_folder: Path, mapped: NDArray[np.uint8]) -> None:
    counts = _counts(open_map(map_folder), 13)
    for row in range(counts.shape[0]):
        for col in range(counts.shape[1]):
            block = mapped[13 * row : 13 * row + 13, 13 * col : 13 * col + 13]
            assert counts[row, col] == (block > 0).sum()


def test_weights_add_up_to_the_map_on_average(
    map_folder: Path, mapped: NDArray[np.uint8], request_of: Make
) -> None:
    one, request = open_map(map_folder), request_of()
    counts = _counts(one, 13)
    sums = []
    for seed in range(60):
        drawn = draw_pixels(one, counts, 13, request, np.random.default_rng(seed))
        assert (mapped[drawn.row, drawn.col] > 0).all()
        assert len(np.unique(drawn.row * GRID.width + drawn.col)) == len(drawn.row)
        assert np.bincount(np.unique(drawn.square, return_inverse=True)[1]).max() <= 6
        assert (drawn.square == drawn.row // 13 * counts.shape[1] + drawn.col // 13).all()
        sums.append(
            [(1 / drawn.probability).sum(), (1 / drawn.probability)[mapped[drawn.row, drawn.col] == 1].sum()]
        )
    truth = [(mapped > 0).sum(), (mapped == 1).sum()]
    error = np.std(sums, axis=0) / np.sqrt(len(sums))
    assert (np.abs(np.mean(sums, axis=0) - truth) < 4 * error).all()


def test_a_drawn_sample_goes_through_assess(
    request_of: Make, truth: NDArray[np.uint8], map_folder: Path
) -> None:
    report = draw_clusters(request_of())
    frame = geopandas.read_file(report.path, layer="points")
    assert len(frame) == report.n and frame["cluster"].nunique() == report.drawn == 20
    assert (frame["cluster"].ne(frame["cluster"].shift()).sum()) == 20, "points of a square stand together"
    col = ((frame.geometry.x - GRID.affine.c) // 10).astype(int)
    row = ((GRID.affine.f - frame.geometry.y) // 10).astype(int)
    frame["label"] = [CLASSES[value] for value in truth[row, col].tolist()]
    frame.to_file(report.path, layer="points", driver="GPKG")
    found = assess_map(AssessRequest(map_folder, report.path))
    assert found.design == "cluster"
    assert found.whole.overall.value == pytest.approx(0.86, abs=0.1)
    assert found.whole.overall.se is not None and 0.01 < found.whole.overall.se < 0.1


def test_bad_squares_are_refused(request_of: Make) -> None:
    with pytest.raises(SampleError, match="smaller than a pixel"):
        draw_clusters(request_of(side=3))
    with pytest.raises(SampleError, match="squares wanted"):
        draw_clusters(request_of(side=2000))
    draw_clusters(request_of())
    with pytest.raises(MapError, match="exists already"):
        draw_clusters(request_of())


def test_the_command_draws_them(map_folder: Path, tmp_path: Path) -> None:
    def run(*more: object) -> object:
        base = ["design", "--map", map_folder, "--out", tmp_path / "c.gpkg", "--clusters", 130]
        return CliRunner().invoke(app, [str(each) for each in (*base, *more)])

    assert run().exit_code == 2
    result = run("--n", 50, "--per-cluster", 5)
    assert result.exit_code == 0 and "50 points in 10 of" in result.output
