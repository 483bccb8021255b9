"""Runs of a comparison: honest splits, resumed after a kill, the same bits however they are made."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from geocomiss.benchmarking import (
    NOT_DEFINED,
    BenchmarkRequest,
    contenders_of,
    embedding_columns,
    reference_of,
    run_benchmark,
    with_ablations,
)
from geocomiss.benchmarking.bench import bench_of
from geocomiss.errors import MapError, MethodError, SampleError
from geocomiss.methods.comiss import CoMissOptions
from geocomiss.nets import SIZES
from geocomiss.recipes import RECIPES
from geocomiss.samples.simulated import simulated_samples
from geocomiss.scores import predict_classes
from geocomiss.training import Settings

QUICK = Settings(epochs=2)


@pytest.fixture(scope="module")
def samples():
    return simulated_samples(240, 0, RECIPES["monthly-l2a"])


def request_for(names, **changes):
    quick = {"folds": "spatial", "fold_count": 2, "seeds": (0,), "settings": QUICK}
    contenders = contenders_of(names.split(","), {"preset": "small"})
    return BenchmarkRequest("label", contenders, **{**quick, **changes})


def made(samples, request, folder):
    """The results, and the names of the runs that were made."""
    told = []
    results = run_benchmark(
        bench_of(samples, request), request, folder, lambda key, run, kept: kept or told.append(key.stem)
    )
    return results, told


def times(folder):
    return {path: path.stat().st_mtime_ns for path in sorted(folder.glob("runs/*/*.npz"))}


def test_a_fold_its_training_and_its_stopping_share_no_group(samples):
    bench = bench_of(samples, request_for("comiss"))
    for fold in bench.folds:
        split = bench.split(fold, 3)
        groups = [set(samples.group[rows]) for rows in (split.train, split.validation, split.test)]
        assert not groups[0] & groups[1]
        assert not groups[0] & groups[2]
        assert not groups[1] & groups[2]
        assert sorted(np.concatenate([split.train, split.validation, split.test])) == list(
            range(len(samples))
        )


def test_every_sample_is_predicted_once_under_every_condition(samples, tmp_path):
    results, told = made(samples, request_for("comiss,unimodal"), tmp_path)
    assert len(told) == 4
    assert results.conditions[0] == "optical+radar+weather+topography"
    assert len([name for name in results.conditions if name.startswith("months:")]) == 11
    for predicted in results.predicted.values():
        assert predicted.shape == (1, len(results.conditions), len(samples))
        assert (predicted >= -1).all()
        assert (predicted < len(results.classes)).all()
    for path in tmp_path.glob("runs/comiss/*.npz"):  # what is kept tells what it is of
        with np.load(path) as kept:
            assert (
                tuple(kept["conditions"]) == results.conditions and tuple(kept["classes"]) == results.classes
            )
            assert (kept["truth"] == results.truth[kept["rows"]]).all()
            assert (kept["predicted"] == results.predicted["comiss"][0][:, kept["rows"]]).all()


def test_patterns_alone_where_nothing_else_is_wanted(samples, tmp_path):
    results, _ = made(samples, request_for("comiss", patterns_only=True), tmp_path)
    assert len(results.conditions) == 15
    whole, told = made(samples, request_for("comiss"), tmp_path)
    assert len(told) == 2
    assert (whole.predicted["comiss"][:, :15] == results.predicted["comiss"]).all()


def test_predictions_are_those_of_a_model_trained_by_hand(samples, tmp_path):
    from geocomiss.methods import new_method
    from geocomiss.training import fit

    results, _ = made(samples, request_for("fullco"), tmp_path)
    bench = bench_of(samples, request_for("fullco"))
    split = bench.split("1", 0)
    method, _ = fit(
        lambda: new_method("fullco", bench.spec, {"preset": "small"}),
        bench.data[split.train.tolist()],
        bench.data[split.validation.tolist()],
        QUICK,
    )
    place = results.conditions.index("radar+weather")
    expected = predict_classes(method, bench.data.batch[split.test.tolist()].keep_only(("radar", "weather")))
    assert (results.predicted["fullco"][0, place, split.test] == expected).all()


def test_a_finished_comparison_trains_nothing_and_a_longer_one_only_the_rest(samples, tmp_path):
    first, _ = made(samples, request_for("comiss"), tmp_path)
    before = times(tmp_path)
    again, told = made(samples, request_for("comiss,unimodal", seeds=(0, 1)), tmp_path)
    assert len(told) == 6
    after = times(tmp_path)
    assert {path: after[path] for path in before} == before
    assert (again.predicted["comiss"][0] == first.predicted["comiss"][0]).all()


def test_other_settings_make_the_runs_anew_and_take_nothing_away(samples, tmp_path):
    made(samples, request_for("comiss"), tmp_path)
    before = times(tmp_path)
    _, told = made(samples, request_for("comiss", settings=Settings(epochs=1)), tmp_path)
    after = times(tmp_path)
    assert len(told) == 2 and len(after) == 4
    assert {path: after[path] for path in before} == before
    assert made(samples, request_for("comiss"), tmp_path)[1] == []


def test_how_methods_are_trained_is_no_business_of_trees(samples, tmp_path):
    made(samples, request_for("random-forest"), tmp_path)
    assert made(samples, request_for("random-forest", settings=Settings(epochs=1)), tmp_path)[1] == []


@pytest.mark.parametrize("contender", ["comiss", "random-forest"])
def test_few_labels_of_each_class_are_learnt_from(samples, tmp_path, contender):
    request = request_for(contender, labels_per_class=4)
    bench, whole = bench_of(samples, request), bench_of(samples, request_for(contender))
    for fold in bench.folds:
        split, other = bench.split(fold, 0), bench.split(fold, 1)
        learnt = np.concatenate([split.train, split.validation])
        assert np.bincount(bench.y[learnt]).max() == 4
        assert not set(learnt) & set(split.test)
        assert (split.test == whole.split(fold, 0).test).all()
        assert set(learnt) != set(np.concatenate([other.train, other.validation]))
    results, told = made(samples, request, tmp_path)
    assert len(told) == 2
    assert any("at most 4 labels of each class" in note for note in results.notes)
    assert len(made(samples, request_for(contender), tmp_path)[1]) == 2


def test_few_labels_of_a_target_are_refused(samples):
    target = replace(samples, target=np.linspace(0, 1, len(samples)))
    with pytest.raises(SampleError, match="labels per class, and a target"):
        bench_of(target, request_for("comiss", labels_per_class=4))


def test_weights_wanted_later_are_kept_then(samples, tmp_path):
    first, _ = made(samples, request_for("comiss"), tmp_path)
    again, told = made(samples, request_for("comiss", keep_models=True), tmp_path)
    assert len(told) == 2 and len([*tmp_path.glob("models/*/*.safetensors")]) == 2
    assert (again.predicted["comiss"] == first.predicted["comiss"]).all()
    assert made(samples, request_for("comiss", keep_models=True), tmp_path)[1] == []


@pytest.mark.parametrize("what", ["options", "version"])
def test_another_default_or_version_makes_the_runs_anew(samples, monkeypatch, what):
    request = request_for("comiss")
    bench = bench_of(samples, request)
    before = bench.identity(request, request.contenders[0], 0, "0")
    if what == "version":
        monkeypatch.setattr("geocomiss.benchmarking.bench.__version__", "99")
    else:
        monkeypatch.setattr("geocomiss.methods.checked_options", lambda *_: CoMissOptions(temperature=3))
    assert bench.identity(request, request.contenders[0], 0, "0") != before


def test_other_values_in_a_file_of_the_same_name_make_the_runs_anew(samples):
    request = request_for("comiss")
    other = replace(samples, values={**samples.values, "radar": samples.values["radar"] + 1})
    later = replace(samples, months=samples.months % 12 + 1)
    identities = {
        bench_of(table, request).identity(request, request.contenders[0], 0, "0")
        for table in (samples, other, later)
    }
    assert len(identities) == 3


def test_baselines_alone_are_compared(samples, tmp_path):
    results, _ = made(samples, request_for("random-forest"), tmp_path)
    assert (results.predicted["random-forest"][0, 0] == results.truth).mean() > 0.5


def test_a_file_left_half_written_does_not_lock_the_folder(samples, tmp_path):
    (tmp_path / "table.md.partial").write_text("half")
    made(samples, request_for("random-forest"), tmp_path)


def test_a_damaged_run_is_made_again(samples, tmp_path):
    first, _ = made(samples, request_for("comiss"), tmp_path)
    path = next(iter(times(tmp_path)))
    path.write_bytes(path.read_bytes()[:100])
    again, _ = made(samples, request_for("comiss"), tmp_path)
    assert (again.predicted["comiss"] == first.predicted["comiss"]).all()


@pytest.mark.parametrize("preset", ["small", "compact"])
def test_kept_weights_give_the_same_predictions_without_training(samples, tmp_path, monkeypatch, preset):
    monkeypatch.setitem(SIZES, "full", SIZES["small"])  # of the teacher of a compact model
    wanted = contenders_of(["comiss"], {"preset": preset})
    quick = {"contenders": wanted, "patterns_only": True}
    first, _ = made(samples, replace(request_for("comiss", keep_models=True), **quick), tmp_path)
    for path in times(tmp_path):
        path.unlink()

    def never(*_, **__):
        raise AssertionError("trained again")

    monkeypatch.setattr("geocomiss.benchmarking.runs.learn", never)
    again, _ = made(samples, replace(request_for("comiss"), **quick), tmp_path)
    assert (again.predicted["comiss"] == first.predicted["comiss"]).all()
    assert again.seconds == first.seconds


def test_damaged_weights_are_trained_again(samples, tmp_path):
    first, _ = made(samples, request_for("comiss", keep_models=True), tmp_path)
    for path in tmp_path.glob("models/*/*"):
        path.write_bytes(path.read_bytes()[:1000])
    for path in times(tmp_path):
        path.unlink()
    again, _ = made(samples, request_for("comiss"), tmp_path)
    assert (again.predicted["comiss"] == first.predicted["comiss"]).all()


@pytest.mark.slow
def test_two_at_once_are_bit_equal_to_one_after_the_other(samples, tmp_path):
    one, _ = made(samples, request_for("comiss+"), tmp_path / "one")
    two, _ = made(samples, request_for("comiss+", jobs=2), tmp_path / "two")
    assert (one.predicted["comiss+"] == two.predicted["comiss+"]).all()


@pytest.mark.parametrize(("one", "what"), [("class", "classes"), ("spatial group", "spatial groups")])
def test_a_fold_with_nothing_to_learn_outside_is_said(samples, tmp_path, one, what):
    groups = np.unique(samples.group)
    inside = np.isin(samples.group, groups[1:] if what == "spatial groups" else groups[: len(groups) // 2])
    labels = np.where(inside, samples.labels, samples.labels[0]) if what == "classes" else samples.labels
    lopsided = replace(samples, labels=labels.astype(np.str_), columns={"half": inside.astype(int)})
    with pytest.raises(SampleError, match=f"leaves samples of 1 {one} to train on; .* at least 2 {what}"):
        made(lopsided, request_for("comiss", folds="half", fold_count=None), tmp_path)


@pytest.mark.parametrize(
    ("names", "options", "words"),
    [
        ("comiss,nothing", {}, "no method 'nothing'"),
        ("comiss,comiss", {}, "comiss named twice"),
        ("comiss", {"layers": 2}, "no method compared here has the option layers"),
        ("comiss", {"temperature": -1}, "option temperature of comiss"),
        ("comiss,fullco", {"preset": "compact"}, "fullco teaches no compact network"),
    ],
)
def test_bad_contenders_are_said(names, options, words):
    with pytest.raises(MethodError, match=words):
        contenders_of(names.split(","), options)


def test_a_student_is_a_line_beside_its_teacher():
    teacher, student = contenders_of(["comiss+", "comiss+-compact"], {"repeated": 0.2})
    assert teacher.method == student.method and teacher.options == {"repeated": 0.2}
    assert student.options == {"repeated": 0.2, "preset": "compact"}
    assert reference_of([student, teacher]) == "comiss+"
    assert "comiss+-compact" in [each.key for each in with_ablations([teacher, student])][-1]


def test_embeddings_are_compared_only_where_there_are_some(samples, tmp_path):
    with pytest.raises(SampleError, match=r"no embeddings.*embedding_"):
        contenders_of(["embeddings"], {}, embeddings=False)
    assert "embeddings" not in [each.key for each in contenders_of(["all"], {})]
    worded = {"embedding_0": np.full(len(samples), "none"), "crop": samples.labels}
    assert embedding_columns(worded) == ()
    y = np.unique(samples.labels, return_inverse=True)[1]
    telling = replace(samples, columns={"embedding_0": y + 0.25, "embedding_1": -1.0 * y})
    assert embedding_columns(telling.columns) == ("embedding_0", "embedding_1")
    contenders = contenders_of(["embeddings"], {}, embeddings=True)
    assert contenders[0] in contenders_of(["all"], {}, embeddings=True)
    results, _ = made(telling, replace(request_for("comiss"), contenders=contenders), tmp_path)
    predicted = results.predicted["embeddings"][0]
    assert (predicted[0] == results.truth).mean() > 0.9
    assert (predicted[1:] == NOT_DEFINED).all()


def test_an_ablation_stands_beside_its_method(samples, tmp_path):
    every = with_ablations(contenders_of(["comiss", "unimodal"], {"preset": "small"}))
    keys = [each.key for each in every]
    assert keys[0] == "comiss" and keys[-1] == "unimodal"
    assert "comiss_without-contrastive-loss" in keys
    assert reference_of(every[:-1]) == "comiss"
    assert every[1].options != every[0].options and every[1].options["preset"] == "small"
    results, told = made(samples, replace(request_for("comiss"), contenders=every[:2]), tmp_path)
    assert len(told) == 4 and len(results.predicted) == 2
    without = contenders_of(["comiss"], {"preset": "small", "contrastive": "none"})
    assert "comiss_without-contrastive-loss" not in [each.key for each in with_ablations(without)]
    with pytest.raises(MethodError, match="no parts to leave out of unimodal"):
        with_ablations(contenders_of(["unimodal"], {}))


def test_another_lender_of_gaps_makes_the_runs_anew(samples, tmp_path):
    made(samples, request_for("comiss"), tmp_path)
    before = times(tmp_path)
    other = request_for("comiss", gaps=simulated_samples(100, 5, samples.recipe))
    assert len(made(samples, other, tmp_path)[1]) == 2
    assert {path: time for path, time in times(tmp_path).items() if path in before} == before


def test_a_folder_with_something_else_is_left_alone(samples, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(MapError, match=r"holds thesis\.txt"):
        made(samples, request_for("comiss"), tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.slow
def test_a_killed_comparison_goes_on_where_it_stopped(tmp_path):
    command = [
        sys.executable, "-c", "from geocomiss_cli.main import main; main()", "benchmark",
        "--samples", "simulated", "--n", "240", "--methods", "comiss,unimodal", "--preset", "small",
        "--fold-count", "2", "--seeds", "0", "--epochs", "2", "--jobs", "1", "--out", str(tmp_path / "out"),
    ]  # fmt: skip
    path = os.pathsep.join(sys.path)
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path}, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not times(tmp_path / "out") and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    before = times(tmp_path / "out")
    assert 1 <= len(before) < 4
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    after = times(tmp_path / "out")
    assert len(after) == 4
    assert {path: after[path] for path in before} == before
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_a_target_is_predicted_out_of_fold_as_train_would(samples, tmp_path):
    height = samples.values["topography"][:, 0, 0].astype(np.float64)
    measured = replace(samples, labels=np.full(len(samples), ""), target=height)
    results, _ = made(measured, request_for("comiss", settings=Settings(epochs=8)), tmp_path)
    assert results.task == "value" and results.classes == () and results.truth.dtype == np.float32
    predicted = results.predicted["comiss"]
    assert predicted.dtype == np.float32 and np.isfinite(predicted[0, 0]).all()
    bench = bench_of(measured, request_for("comiss"))
    for names in (("radar",), ("optical",), ("topography",)):  # NaN where nothing is left, and only there
        there = bench.data.batch.keep_only(names).available.any(1).numpy()
        assert (np.isfinite(predicted[0, results.conditions.index(names[0])]) == there).all()
    alone = predicted[0, results.conditions.index("topography")]
    without = predicted[0, results.conditions.index("optical+radar+weather")]
    errors = [np.sqrt(np.mean((each - height) ** 2)) for each in (alone, without)]
    assert errors[0] < errors[1] and errors[0] < 0.9 * height.std()
