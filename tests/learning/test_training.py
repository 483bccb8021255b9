from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from geocomiss.batch import Spec, batch_of_values, default_min_steps
from geocomiss.checkpoint import CARD, SHIPPED, Card, Checkpoint, read_checkpoint, write_checkpoint
from geocomiss.errors import MethodError, RecipeError, SampleError
from geocomiss.evaluation import evaluate_model, write_scores
from geocomiss.maps.vision import distance
from geocomiss.methods import METHODS, new_method
from geocomiss.recipes import RECIPES
from geocomiss.samples.legend import Legend
from geocomiss.samples.tensors import batch_of_samples
from geocomiss.scores import NO_MODALITY, Score, f1_scores, predict_classes, summarise
from geocomiss.training import Settings, TrainRequest, train_model
from geocomiss.training.classes import FAMILIAR, classes_of, distinct_colors
from geocomiss.training.loop import Labelled, fit

QUICK = TrainRequest("crop", options={"preset": "small"}, settings=Settings(epochs=3, batch_size=32))


@pytest.fixture(scope="module")
def trained(samples):
    return train_model(samples, QUICK)


def test_training_twice_gives_the_same_bits(samples, trained):
    again = train_model(samples, QUICK)
    one, two = trained.method.state_dict(), again.method.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert again.card == trained.card
    other = train_model(samples, replace(QUICK, settings=replace(QUICK.settings, seed=1)))
    assert any(not torch.equal(one[name], other.method.state_dict()[name]) for name in one)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_trained_written_and_read(samples, name, tmp_path):
    settings = replace(QUICK.settings, epochs=1)
    trained = train_model(samples, replace(QUICK, method=name, fold="fold=1", settings=settings))
    write_checkpoint(tmp_path / "model", trained.card, trained.method)
    again = read_checkpoint(str(tmp_path / "model"))
    assert again.card.method == name
    assert len(again.card.scores.patterns) == 2 ** len(again.card.bands) - 1
    batch = batch_of_samples(samples, again.card.spec)
    with torch.no_grad():
        assert torch.equal(again.method(batch), trained.method(batch))


def test_training_leaves_the_global_generator_alone(samples):
    torch.manual_seed(4)
    before = torch.random.get_rng_state()
    train_model(samples, QUICK)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_card_keeps_where_samples_lie_but_not_in_clear(samples, trained):
    places = trained.card.training.footprint
    assert places is not None and places.known.covers(samples.lat, samples.lon).all()
    assert not places.known.covers(samples.lat + 0.01, samples.lon).any()


def test_the_card_of_the_simulated_world_keeps_no_places():
    card = (SHIPPED / "simulated" / CARD).read_text()
    assert "footprint" not in card
    assert Card.model_validate_json(card).model_dump_json(indent=1) + "\n" == card


def test_own_points_in_the_simulated_world_are_kept_too(samples):
    request = replace(QUICK, settings=replace(QUICK.settings, epochs=1), fold="fold=1")
    columns = {**samples.columns, "feature": np.arange(len(samples)) + 1}
    own = train_model(replace(samples, simulated=True, columns=columns), request).card.training
    used = samples.columns["fold"] != 1
    assert own.places is not None and own.places.covers(samples.lat[used], samples.lon[used]).all()
    generated = train_model(replace(samples, simulated=True), request).card.training
    assert generated.places is None


def test_the_card_says_what_the_model_is(samples, trained):
    card = trained.card
    assert [info.name for info in card.classes] == ["grass", "maize", "wheat"]
    assert card.cycle == samples.cycle and card.recipe == samples.recipe
    assert card.training.n == 180 and sum(card.training.n_by_class.values()) == 180
    assert card.training.cells == tuple((50 + 2 * i, 4) for i in range(9))
    assert card.training.years == (2021,) and not card.simulated
    assert card.options["preset"] == "small" and card.options["distillation"] == "ce+kl"
    method = trained.method
    assert np.allclose(card.statistics["radar"].mean, method.normaliser("radar").mean)


def test_without_a_fold_scores_come_from_a_grouped_hold_out(trained):
    scores = trained.card.scores
    assert len(scores.patterns) == 15 and 0.1 * 180 < scores.n < 0.4 * 180
    assert "spatial groups" in scores.protocol and "trained on all samples" in scores.protocol
    assert scores.full > 0.6


def test_a_fold_is_never_trained_on(samples):
    poisoned = {name: rows.copy() for name, rows in samples.values.items()}
    fold = samples.columns["fold"] == 1
    for rows in poisoned.values():
        rows[fold] = rows[fold] * 2 + 5
    request = replace(QUICK, fold="fold=1")
    clean = train_model(samples, request)
    other = train_model(replace(samples, values=poisoned), request)
    one, two = clean.method.state_dict(), other.method.state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert clean.card.training.held_out == "fold=1" and clean.card.training.n == 120
    assert clean.card.scores.n == 60 and "never saw" in clean.card.scores.protocol


def test_the_best_weights_come_back_and_training_stops(world, spec):
    y = np.random.default_rng(0).integers(0, 3, 150)
    data = Labelled(batch_of_values(world.values(y), spec), torch.from_numpy(y))
    validation = data[torch.arange(100, 150)]
    seen = []
    method, epoch = fit(
        lambda: new_method("comiss", spec, {"preset": "small"}),
        data[torch.arange(100)],
        validation,
        Settings(epochs=60, patience=3, min_delta=0.0, learning_rate=0.02),
        seen.append,
    )
    values = [each.validation for each in seen]
    assert epoch == int(np.argmin(values)) + 1 and len(values) == min(60, epoch + 3)
    with torch.no_grad():
        assert float(method.monitored(validation.batch, validation.y)) == min(values)
    assert {"total", "main", "modality", "contrastive", "missing_ce", "missing_kl"} == set(seen[0].losses)
    assert [each.number for each in seen if each.best][-1] == epoch


def test_a_class_that_only_the_fold_has_is_kept_and_scored_as_missed(samples):
    labels = samples.labels.astype("<U8")
    labels[samples.columns["region"] == "north"] = np.where(np.arange(80) % 2, "rice", "maize")
    trained = train_model(replace(samples, labels=labels), replace(QUICK, fold="region=north"))
    assert "rice" in [info.name for info in trained.card.classes]
    assert trained.card.training.n_by_class["rice"] == 0
    assert np.isfinite(trained.card.scores.full)


def test_one_class_outside_the_fold_is_refused(samples):
    labels = np.where(samples.columns["region"] == "north", samples.labels, "maize")
    with pytest.raises(SampleError, match="1 class outside"):
        train_model(replace(samples, labels=labels), replace(QUICK, fold="region=north"))


def test_too_few_groups_are_refused(samples):
    with pytest.raises(SampleError, match="one spatial group"):
        train_model(replace(samples, group=np.full(180, "here")), QUICK)
    two = np.where(np.arange(180) < 90, "here", "there")
    with pytest.raises(SampleError, match=r"180 samples in 2 spatial groups .*expected 3 or more"):
        train_model(replace(samples, group=two), QUICK)


def test_a_wrong_option_is_said_before_training(samples):
    with pytest.raises(MethodError, match="preset"):
        train_model(samples, replace(QUICK, options={"preset": "huge"}))


def test_evaluation_scores_all_patterns_and_writes_them(samples, trained, tmp_path):
    import json

    elsewhere = replace(samples, sha256="1", lat=samples.lat + 0.5)
    found = evaluate_model(Checkpoint(trained.card, trained.method), elsewhere)
    write_scores(found.scores, tmp_path / "scores.json")
    stored = json.loads((tmp_path / "scores.json").read_text())
    assert len(stored["patterns"]) == 15
    assert set(stored["patterns"]["optical+radar+weather+topography"]) == {
        "macro_f1", "weighted_f1", "ece", "ece_uncalibrated"
    }  # fmt: skip
    assert all(0 <= stored[key] <= 1 for key in ("full", "moderate", "extreme", "overall"))
    assert not found.warnings
    with pytest.raises(SampleError, match="cannot be written"):
        write_scores(found.scores, tmp_path / "no" / "folder.json")


def test_evaluation_warns_on_the_training_table(samples, trained):
    found = evaluate_model(Checkpoint(trained.card, trained.method), samples)
    assert any("trained on" in warning for warning in found.warnings)


def test_evaluation_leaves_out_classes_the_model_does_not_know(samples, trained):
    labels = np.where(np.arange(180) < 30, "rice", samples.labels)
    found = evaluate_model(Checkpoint(trained.card, trained.method), replace(samples, labels=labels))
    assert found.scores.n == 150 and any("rice (30)" in warning for warning in found.warnings)
    with pytest.raises(SampleError, match="no sample of toy"):
        evaluate_model(
            Checkpoint(trained.card, trained.method), replace(samples, labels=np.full(180, "rice"))
        )


def test_evaluation_refuses_what_does_not_fit_the_model(samples, trained):
    checkpoint = Checkpoint(trained.card, trained.method)
    with pytest.raises(SampleError, match="calendar"):
        evaluate_model(checkpoint, replace(samples, months=np.roll(samples.months, 1, axis=1)))
    with pytest.raises(RecipeError, match="s2 level"):
        evaluate_model(checkpoint, replace(samples, recipe=RECIPES["cropharvest"]))
    bands = {**samples.bands, "optical": ("B2", "B4", "B8", "B12")}
    with pytest.raises(SampleError, match="NDVI"):
        evaluate_model(checkpoint, replace(samples, bands=bands))


def test_a_table_without_a_modality_is_scored_without_it(samples, trained):
    values = {name: rows for name, rows in samples.values.items() if name != "optical"}
    checkpoint = Checkpoint(trained.card, trained.method)
    found = evaluate_model(checkpoint, replace(samples, values=values))
    scores = evaluate_model(checkpoint, samples).scores.patterns
    assert "toy has no optical" in found.warnings
    assert found.scores.patterns["optical"].macro_f1 == 0  # nothing left: all wrong
    full, rest = "optical+radar+weather+topography", "radar+weather+topography"
    assert found.scores.patterns[full] == found.scores.patterns[rest] == scores[rest]


def test_training_and_evaluation_see_the_same_tensors(samples, trained):
    card = trained.card
    spec = Spec(samples.bands, 12, 3, default_min_steps(tuple(samples.bands), 12))
    one, two = batch_of_samples(samples, spec), batch_of_samples(samples, card.spec)
    for name in samples.bands:
        assert torch.equal(torch.nan_to_num(one.x[name], 1.5), torch.nan_to_num(two.x[name], 1.5))
        assert torch.equal(one.valid[name], two.valid[name])


labels = st.lists(st.tuples(st.integers(0, 4), st.integers(NO_MODALITY, 4)), min_size=1, max_size=60)


@given(labels)
def test_f1_equals_scikit_learn(pairs):
    y, predicted = (np.array(column) for column in zip(*pairs, strict=True))
    found = f1_scores(y, predicted, 5)
    for name, average in (("macro_f1", "macro"), ("weighted_f1", "weighted")):
        expected = f1_score(y, predicted, labels=range(5), average=average, zero_division=0)
        assert abs(getattr(found, name) - expected) < 1e-12


def test_means_are_those_of_the_nine_cases():
    names = ("optical", "radar", "weather", "topography")
    from geocomiss.modalities import patterns

    found = {"+".join(p): Score(macro_f1=len(p) / 10, weighted_f1=0) for p in patterns(names)}
    scores = summarise(found, names, 9, "")
    assert (scores.full, scores.moderate, scores.extreme) == pytest.approx((0.4, 0.3, 0.1))
    assert scores.overall == pytest.approx((0.4 + 4 * 0.3 + 4 * 0.1) / 9)


def test_a_pixel_without_any_modality_counts_as_an_error(samples, trained):
    batch = batch_of_samples(samples, trained.card.spec)
    hidden = batch.keep(torch.arange(180)[:, None] >= 5)
    assert (predict_classes(trained.method, hidden)[:5] == NO_MODALITY).all()


def test_classes_are_alphabetical_or_in_the_order_of_the_legend(samples):
    assert [info.value for info in classes_of(samples, None)] == [1, 2, 3]
    mapping = {"wheat": "wheat", "maize": "maize", "grass": "grass"}
    legend = Legend("legend.csv", mapping, {"maize": "#123456"})
    found = classes_of(samples, legend)
    assert [info.name for info in found] == ["wheat", "maize", "grass"]
    assert found[1].color == "#123456"


def test_familiar_crops_have_familiar_colors_and_all_differ():
    names = ["maize", "corn", "wheat", *(f"class {i}" for i in range(60))]
    colors = distinct_colors(names, {})
    assert colors[0] == "#ffd400" and colors[1] != colors[0]
    assert len(set(colors)) == len(names)
    assert colors == distinct_colors(names, {})


@pytest.mark.parametrize(
    "names",
    [
        ["grassland", "maize", "non_crop", "rapeseed", "soybean", "sugar_beet", "wheat"],
        [
            "alfalfa",
            "barley_oats",
            "fruit",
            "grass",
            "maize",
            "non_crop",
            "other",
            "potato",
            "soy",
            "winter_cereal",
        ],
    ],
)
def test_people_of_any_colour_vision_can_tell_the_classes(names):
    colors = distinct_colors(names, {})
    assert min(distance(one, other)[1] for one, other in combinations(colors, 2)) > 0.11
    familiar = [color for color in colors if any(color == known for _, known in FAMILIAR)]
    assert len(familiar) >= len(names) / 2


def test_who_lacks_a_cone_sees_red_as_brownish_green_and_grey_as_grey():
    apart, nearest = distance("#a87000", "#267300")  # wheat and soybean as agronomists draw them
    assert apart > 0.5 and nearest < 0.1
    assert distance("#000000", "#ffffff") == pytest.approx((3**0.5, 3**0.5), abs=1e-3)


def test_a_written_model_scores_as_the_one_in_memory(samples, trained, tmp_path):
    write_checkpoint(tmp_path / "model", trained.card, trained.method)
    again = read_checkpoint(str(tmp_path / "model"))
    first = evaluate_model(Checkpoint(trained.card, trained.method), samples)
    assert evaluate_model(again, samples) == first
