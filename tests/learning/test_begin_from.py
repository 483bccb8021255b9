"""Training from a trained model: what it knows stays, by name; what does not fit is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from geocomiss.checkpoint import Checkpoint, ClassInfo, read_checkpoint, write_checkpoint
from geocomiss.errors import CheckpointError, RecipeError, SampleError
from geocomiss.methods import METHODS, Method, new_method
from geocomiss.samples import Samples
from geocomiss.training import Settings, TrainRequest, train_model
from geocomiss.training.finetune import _class_axes, begin_from, spec_for

SMALL = {"preset": "small"}
FEW = Settings(epochs=2)


@pytest.fixture(scope="module")
def trained(samples: Samples) -> Checkpoint:
    """Co-Miss that knows grass, maize and wheat."""
    found = train_model(samples, TrainRequest("label", method="comiss", options=SMALL, settings=FEW))
    card = found.card.model_copy(update={"model_sha256": "a" * 64})
    return Checkpoint(card, found.method)


def with_labels(samples: Samples, changes: dict[str, str]) -> Samples:
    names = [changes.get(label, label) for label in samples.labels.tolist()]
    return replace(samples, labels=np.array(names), name="own", sha256="1" * 64)


def infos(*names: str) -> tuple[ClassInfo, ...]:
    return tuple(ClassInfo(value=i + 1, name=name, color="#123456") for i, name in enumerate(names))


def begun(trained: Checkpoint, *names: str) -> Method:
    spec = replace(trained.card.spec, classes=len(names))
    return begin_from(trained, spec, infos(*names)).eval()


def test_the_same_classes_in_another_order_give_the_same_logits(
    trained: Checkpoint, labelled: tuple[object, torch.Tensor]
) -> None:
    batch = labelled[0]
    with torch.no_grad():
        before = trained.method(batch)
        after = begun(trained, "wheat", "grass", "maize")(batch)
    assert torch.equal(after, before[:, [2, 0, 1]])


def test_known_classes_keep_their_logits_beside_new_ones(
    trained: Checkpoint, labelled: tuple[object, torch.Tensor]
) -> None:
    batch = labelled[0]
    with torch.no_grad():
        before = trained.method(batch)
        after = begun(trained, "barley", "maize", "oats", "wheat", "rye")(batch)
    assert torch.allclose(after[:, [1, 3]], before[:, [1, 2]], atol=1e-5)


@pytest.mark.parametrize("name", sorted(METHODS))
def test_in_every_method_the_weights_of_classes_are_found(trained: Checkpoint, name: str) -> None:
    options = {**SMALL} | ({"weights": "fresh"} if name in ("galileo", "anysat") else {})
    spec = trained.card.spec
    if name in ("galileo", "anysat"):
        spec = replace(
            spec, bands={key: spec.bands[key] for key in METHODS[name].supported if key in spec.bands}
        )
        spec = replace(spec, min_steps={key: trained.card.min_steps[key] for key in spec.bands})
    changes = {"method": name, "options": options, "bands": dict(spec.bands)}
    changes |= {"min_steps": dict(spec.min_steps)}
    card = trained.card.model_copy(update=changes)
    torch.manual_seed(3)
    method = new_method(name, card.spec, options)
    axes = _class_axes(card)
    assert axes
    assert all(method.state_dict()[key].shape[axis] == 3 for key, axis in axes.items())
    torch.manual_seed(4)
    kept = begin_from(
        Checkpoint(card, method), replace(card.spec, classes=4), infos("new", *("wheat", "maize", "x"))
    )
    for key, weights in method.state_dict().items():
        found = kept.state_dict()[key]
        if key not in axes:
            assert torch.equal(found, weights), key
            continue
        rows, old = found.movedim(axes[key], 0), weights.movedim(axes[key], 0)
        assert rows.shape[0] == 4
        assert torch.equal(rows[1], old[2]) and torch.equal(rows[2], old[1]), key


def test_statistics_stay_and_the_card_says_where_it_began(trained: Checkpoint, samples: Samples) -> None:
    own = with_labels(samples.take(np.arange(60)), {"grass": "barley"})
    own = replace(own, values={**own.values, "radar": own.values["radar"] + 5})
    request = TrainRequest("crop", method="comiss", options=SMALL, settings=FEW, begin=trained)
    card = train_model(own, request).card
    assert card.statistics == trained.card.statistics
    assert [info.name for info in card.classes] == ["barley", "maize", "wheat"]
    begun_from = card.training.begun_from
    assert begun_from is not None
    assert (begun_from.kept, begun_from.fresh, begun_from.dropped) == (
        ("maize", "wheat"),
        ("barley",),
        ("grass",),
    )
    assert begun_from.table == "toy"
    assert card.training.n == 60
    places = card.training.places
    assert places is not None
    elsewhere = samples.take(np.arange(60, 180))  # only the first model saw these
    assert places.covers(elsewhere.lat, elsewhere.lon).all()
    assert set(trained.card.training.cells) <= set(card.training.cells)


def test_few_samples_are_learnt_faster_than_afresh(trained: Checkpoint, samples: Samples) -> None:
    part = samples.take(np.arange(54))
    settings = Settings(epochs=1)
    afresh = train_model(part, TrainRequest("label", method="comiss", options=SMALL, settings=settings))
    later = train_model(
        part, TrainRequest("label", method="comiss", options=SMALL, settings=settings, begin=trained)
    )
    assert later.history[0].validation < afresh.history[0].validation


def test_training_from_a_model_goes_on_after_an_interruption(
    trained: Checkpoint, samples: Samples, tmp_path: Path
) -> None:
    part = samples.take(np.arange(90))
    request = TrainRequest("label", method="comiss", options=SMALL, settings=FEW, begin=trained)
    whole = train_model(part, request, state=tmp_path / "whole")
    state = tmp_path / "state"

    def stop(epoch: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_model(part, request, stop, state)
    again = train_model(part, request, state=state)
    pairs = zip(whole.method.state_dict().values(), again.method.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    with pytest.raises(CheckpointError, match="model it begins from"):
        train_model(part, replace(request, begin=None), state=state)


def test_the_model_is_written_and_read(trained: Checkpoint, samples: Samples, tmp_path: Path) -> None:
    own = with_labels(samples.take(np.arange(90)), {"grass": "barley"})
    request = TrainRequest("label", method="comiss", options=SMALL, settings=FEW, begin=trained)
    found = train_model(own, request)
    write_checkpoint(tmp_path / "model", found.card, found.method)
    read = read_checkpoint(str(tmp_path / "model"))
    assert read.card.training.begun_from == found.card.training.begun_from
    assert '"begun_from"' not in trained.card.model_dump_json()


def test_what_does_not_fit_is_refused(trained: Checkpoint, samples: Samples) -> None:
    with pytest.raises(RecipeError, match="gamma0"):
        spec_for(trained, replace(samples, recipe=replace(samples.recipe, s1_product="gamma0")), 3)
    with pytest.raises(CheckpointError, match="July"):
        spec_for(trained, replace(samples, months=np.tile((np.arange(12) + 6) % 12 + 1, (180, 1))), 3)
    with pytest.raises(CheckpointError, match="a value"):
        spec_for(trained, replace(samples, target=np.arange(180.0)), 1)
    lacking = {**samples.values, "optical": samples.values["optical"][..., :3]}
    with pytest.raises(SampleError, match="NDVI"):
        own = replace(samples, values=lacking, bands={**samples.bands, "optical": ("B2", "B4", "B8")})
        train_model(own, TrainRequest("label", method="comiss", options=SMALL, settings=FEW, begin=trained))


def test_a_modality_that_the_samples_lack_is_missing(trained: Checkpoint, samples: Samples) -> None:
    without = {name: rows for name, rows in samples.values.items() if name != "optical"}
    own = replace(samples, values=without, bands={name: samples.bands[name] for name in without})
    request = TrainRequest("label", method="comiss", options=SMALL, settings=FEW, begin=trained)
    assert "optical" in train_model(own.take(np.arange(90)), request).card.bands
