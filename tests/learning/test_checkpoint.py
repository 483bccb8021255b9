import json
import pickle

import pytest
import torch

from geocomiss.checkpoint import (
    CARD,
    WEIGHTS,
    Card,
    ClassInfo,
    Training,
    read_card,
    read_checkpoint,
    statistics_of,
    write_checkpoint,
)
from geocomiss.errors import CheckpointError, GeocomissError
from geocomiss.methods import METHODS, new_method
from geocomiss.recipes import RECIPES


@pytest.fixture(params=sorted(METHODS))
def written(request, tmp_path, spec, labelled):
    """A method, its card, and the folder it was written to."""
    batch, y = labelled
    torch.manual_seed(0)
    method = new_method(request.param, spec, {"preset": "small"})
    method.fit_normalisation(batch)
    method.loss(batch, y, torch.Generator())  # moves the running statistics
    card = write_checkpoint(tmp_path / "model", _card(method, spec, request.param), method.eval())
    return method, card, tmp_path / "model"


def _card(method, spec, name):
    training = Training(
        table="toy", sha256="0", label="label", legend=None, n=120, n_by_class={"maize": 120}, seed=0,
        epochs=1, years=(2021,), cells=((50, 4),), groups="9 groups", held_out=None, recipe_stated=True,
    )  # fmt: skip
    recipe = RECIPES["cropharvest"]
    return Card(
        method=name,
        options=dict(vars(method.shared_options)),
        classes=tuple(ClassInfo(value=i + 1, name=f"class {i}", color=f"#00000{i}") for i in range(3)),
        recipe=recipe,
        cycle=recipe.cycle,
        steps=12,
        bands=dict(spec.bands),
        min_steps=dict(spec.min_steps),
        statistics=statistics_of(method),
        training=training,
        scores=None,
        simulated=False,
    )


def test_a_model_read_again_gives_the_same_bits(written, labelled):
    method, card, folder = written
    again = read_checkpoint(str(folder))
    with torch.no_grad():
        assert torch.equal(again.method(labelled[0]), method(labelled[0]))
    assert again.card == card == read_card(str(folder))
    assert again.card.recipe == RECIPES["cropharvest"] and again.card.cycle == RECIPES["cropharvest"].cycle
    assert again.card.spec.screened and not again.method.training


def test_only_two_files_are_written_and_nothing_partial_stays(written):
    folder = written[2]
    assert sorted(path.name for path in folder.iterdir()) == [CARD, WEIGHTS]
    assert [path.name for path in folder.parent.iterdir()] == ["model"]


def test_an_existing_folder_is_kept_unless_overwriting_a_model(written, tmp_path):
    method, card, folder = written
    with pytest.raises(CheckpointError, match="exists already"):
        write_checkpoint(folder, card, method)
    write_checkpoint(folder, card, method, overwrite=True)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="more than a model"):
        write_checkpoint(folder, card, method, overwrite=True)
    assert (folder / "notes.txt").read_text() == "mine"


def _truncate(folder):
    data = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(data[: len(data) // 2])


def _pickle_weights(folder):
    (folder / WEIGHTS).write_bytes(pickle.dumps({"weights": [1, 2]}))


def _pickle_weights_and_digest(folder):
    import hashlib

    _pickle_weights(folder)
    digest = hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest()
    _edit(folder, lambda card: card.update(model_sha256=digest))


def _edit(folder, change):
    card = json.loads((folder / CARD).read_text())
    change(card)
    (folder / CARD).write_text(json.dumps(card))


DAMAGE = {
    "truncated weights": _truncate,
    "pickled weights": _pickle_weights,
    "pickled weights with a fitting digest": _pickle_weights_and_digest,
    "weights missing": lambda folder: (folder / WEIGHTS).unlink(),
    "card missing": lambda folder: (folder / CARD).unlink(),
    "card no JSON": lambda folder: (folder / CARD).write_text("{"),
    "card of another format": lambda folder: _edit(folder, lambda card: card.update(format=2)),
    "card with an unknown field": lambda folder: _edit(folder, lambda card: card.update(extra=1)),
    "card with an unknown recipe field": lambda folder: _edit(
        folder, lambda card: card["recipe"].update(x=1)
    ),
    "card without classes": lambda folder: _edit(folder, lambda card: card.update(classes=[])),
    "card with an unknown band": lambda folder: _edit(
        folder, lambda card: card["bands"].update(radar=["HH"])
    ),
    "card of other classes": lambda folder: _edit(folder, lambda card: card["classes"].pop()),
    "card of an unknown method": lambda folder: _edit(folder, lambda card: card.update(method="magic")),
    "card with an unknown option": lambda folder: _edit(folder, lambda card: card["options"].update(x=1)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_model_is_refused_in_words(written, damage):
    folder = written[2]
    DAMAGE[damage](folder)
    with pytest.raises(GeocomissError) as error:
        read_checkpoint(str(folder))
    assert len(str(error.value)) < 600 and "\n" not in str(error.value)


def test_a_pickle_given_as_the_model_is_never_opened(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps(_Bomb()))
    with pytest.raises(CheckpointError, match="pickles are never read"):
        read_checkpoint(str(path))
    assert not (tmp_path / "exploded").exists()


class _Bomb:
    def __reduce__(self):
        return exec, ("raise SystemExit('unpickled')",)


def test_a_model_of_a_method_that_has_changed_is_to_be_trained_again(tmp_path, spec):
    method = new_method("comiss+", spec, {"preset": "small"}).eval()
    card = _card(method, spec, "comiss+")
    older = card.model_copy(update={"options": {**card.options, "contrastive": "mean"}})
    write_checkpoint(tmp_path / "model", older, method)
    with pytest.raises(CheckpointError, match=r"another version of geocomiss .*contrastive") as refused:
        read_checkpoint(str(tmp_path / "model"))
    assert "train it again" in str(refused.value)


def test_a_missing_model_is_named(tmp_path):
    with pytest.raises(CheckpointError, match="nowhere"):
        read_checkpoint(str(tmp_path / "nowhere"))


def test_a_failed_write_leaves_nothing_behind(written, tmp_path):
    method, card, _ = written
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot be written"):
        write_checkpoint(tmp_path / "file" / "model", card, method)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "model"]
