"""`geocomiss benchmark` as a user types it."""

import csv

import numpy as np
import pytest
from small_cropharvest import array, point, write_h5, write_labels
from typer.testing import CliRunner

from geocomiss_cli.main import app

QUICK = ("--preset", "small", "--epochs", "1", "--seeds", "0", "--jobs", "1")


def run(*arguments):
    return CliRunner().invoke(app, ["benchmark", *map(str, arguments), *QUICK])


@pytest.fixture(scope="module")
def cropharvest(tmp_path_factory):
    """80 points in 16 cells of 5 degrees, three classes that can be told apart."""
    folder = tmp_path_factory.mktemp("made") / "cropharvest"
    (folder / "features" / "arrays").mkdir(parents=True)
    points = []
    for i in range(80):
        label = ("cereals", "sugar", "non_crop")[i % 3]
        place = {"lat": 5.0 * (i % 16) + 1, "lon": 20.0 + i / 100}
        points.append(point(i, "togo", int(label != "non_crop"), label, **place))
        values = array(i)
        values[:, 2:13] *= 1 + i % 3
        write_h5(folder / "features" / "arrays" / f"{i}_togo.h5", values)
    write_labels(folder, points)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("folds", ["random", "spatial"])
def test_the_posters_numbers_stand_beside_those_of_its_data(cropharvest, tmp_path, folds):
    out = tmp_path / "out"
    done = run(
        "--samples", cropharvest, "--label", "classification_label", "--methods", "comiss,random-forest",
        "--folds", folds, "--fold-count", 2, "--out", out,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    text = (out / "table.md").read_text(encoding="utf-8")
    assert "78.0" in text and "65.4 (65.7)" in text  # Co-Miss on the poster: full, and overall recomputed
    assert ("parity with the poster" in text) == (folds == "random")
    assert str(tmp_path) not in text
    assert {path.name for path in out.iterdir()} >= {"table.md", "scores.csv", "differences.csv", "table.png"}
    with (out / "scores.csv").open(encoding="utf-8") as file:
        rows = {(row["contender"], row["condition"], row["seed"]): row for row in csv.DictReader(file)}
    singles = [
        float(rows["comiss", name, "0"]["macro_f1"]) for name in ("optical", "radar", "weather", "topography")
    ]
    assert float(rows["comiss", "extreme", "mean"]["macro_f1"]) == pytest.approx(np.mean(singles), abs=1e-5)


def test_the_simulated_world_is_not_taken_for_the_posters_data(tmp_path):
    done = run(
        "--samples", "simulated", "--n", 200, "--recipe", "cropharvest", "--methods", "unimodal",
        "--fold-count", 2, "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "65.4 (65.7)" not in (tmp_path / "out" / "table.md").read_text(encoding="utf-8")
    assert "unimodal" in done.output and "moderate" in done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--reference", "galileo"), "'galileo' takes no part"),
        (("--folds", "county"), "no column 'county'"),
        (("--methods", "mystery"), "no method 'mystery'"),
        (("--methods", "unimodal", "--ablate"), "no parts to leave out of unimodal"),
        (("--gaps", "nowhere.npz"), "no samples table nowhere.npz"),
        (("--option", "depth=3"), "no method compared here has the option depth"),
    ],
)
def test_bad_input_is_said_before_anything_is_trained(tmp_path, arguments, words):
    out = tmp_path / "out"
    given = {"--methods": "comiss", **dict(zip(arguments[::2], arguments[1::2], strict=False))}
    flags = [part for pair in given.items() for part in pair]
    extra = ["--ablate"] if "--ablate" in arguments else []
    done = run("--samples", "simulated", "--n", 60, "--out", out, *flags, *extra)
    assert done.exit_code == 1
    assert words in str(done.exception)
    assert not out.exists()


@pytest.mark.parametrize("seeds", ["a", "1,1", "-1", "", "4294967296"])
def test_bad_seeds_are_wrong_usage(tmp_path, seeds):
    done = CliRunner().invoke(
        app,
        [
            "benchmark",
            "--samples",
            "simulated",
            "--n",
            "60",
            "--out",
            str(tmp_path / "o"),
            f"--seeds={seeds}",
        ],
    )
    assert done.exit_code == 2
