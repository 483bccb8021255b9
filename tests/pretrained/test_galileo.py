"""Galileo's encoder equals the published one, whatever is missing; files that do not fit are refused."""

import json
import pickle
import shutil

import numpy as np
import pytest
import torch

from geocomiss.errors import CheckpointError
from geocomiss.pretrained.galileo import (
    GROUPS,
    SIZES,
    SPACE,
    SPACE_TIME,
    STATIC,
    TIME,
    GalileoEncoder,
    read_galileo,
)

NANO = "eab6acacf527886a508a555bc24efe4b4a2cf91b162e84cd1c4a1807e942180c"
CASES = ("all", "all_loc", "s2", "s2_nondvi", "s1", "era5", "srtm", "s1_era5_srtm", "ragged")
KINDS = {"s_t": SPACE_TIME, "sp": SPACE, "t": TIME, "st": STATIC}
CLOSE = 1e-5


@pytest.fixture(scope="module")
def folder(shared):
    return shared / "weights" / "galileo-nano"


@pytest.fixture(scope="module")
def vectors(shared):
    stored = np.load(shared / "vectors" / "galileo_nano_vectors.npz", allow_pickle=False)
    return {name: stored[name] for name in stored.files}


@pytest.fixture(scope="module")
def nano(folder):
    weights = read_galileo(folder)
    encoder = GalileoEncoder(SIZES[weights.size])
    encoder.load_state_dict(dict(weights.tensors))
    return encoder.eval()


def _inputs(vectors, case):
    """Values and visibility by group, of the groups that any sample has."""
    shapes = {"s_t": (6, 12, -1), "sp": (6, 1, -1), "t": (6, 12, -1), "st": (6, 1, -1)}
    values, seen = {}, {}
    for kind, groups in KINDS.items():
        x = vectors[f"x_{kind}"].reshape(shapes[kind])
        visible = vectors[f"mask__{case}__{kind}"].reshape(shapes[kind]) == 0
        at = 0
        for column, (name, channels) in enumerate(groups.items()):
            if visible[..., column].any():
                values[name] = torch.tensor(x[..., at : at + channels])
                seen[name] = torch.tensor(visible[..., column])
            at += channels
    return values, seen, torch.tensor(vectors["months"])


@pytest.mark.parametrize("case", CASES)
def test_features_equal_the_published_encoder(nano, vectors, case):
    with torch.no_grad():
        found = nano(*_inputs(vectors, case))
    assert np.abs(found.numpy() - vectors[f"feat__{case}"]).max() < CLOSE


@pytest.mark.parametrize("case", ["all", "ragged"])
def test_double_precision_equals_the_published_encoder_in_double_precision(nano, vectors, case):
    values, seen, months = _inputs(vectors, case)
    encoder = GalileoEncoder(SIZES["nano"])
    encoder.load_state_dict(nano.state_dict())
    with torch.no_grad():
        found = encoder.double()({name: x.double() for name, x in values.items()}, seen, months)
    assert np.abs(found.numpy() - vectors[f"feat64__{case}"]).max() < 2e-6


def test_a_kernel_for_one_pixel_is_the_published_one_resized(nano, vectors):
    matrix, _ = nano.projections(("S1",))["S1"]
    assert np.allclose(matrix.detach().numpy(), vectors["kernel1x1__S1"][..., 0, 0], atol=1e-6)


def test_values_of_hidden_tokens_change_nothing(nano, vectors):
    values, seen, months = _inputs(vectors, "ragged")
    other = {name: torch.where(seen[name][..., None], x, 99.0) for name, x in values.items()}
    with torch.no_grad():
        assert torch.equal(nano(values, seen, months), nano(other, seen, months))


def test_tokens_beyond_those_that_a_row_has_change_nothing(nano, vectors):
    values, seen, months = _inputs(vectors, "s2")
    with torch.no_grad():
        exact, longer = (nano(values, seen, months, length=length) for length in (72, None))
        padded = nano(*_inputs(vectors, "ragged"), length=100)
    assert torch.equal(exact, longer)
    assert np.abs(padded.numpy() - vectors["feat__ragged"]).max() < CLOSE


def test_a_series_longer_than_the_published_table_has_encodings_of_the_same_formula(nano):
    values = {"S1": torch.zeros(1, 36, 2)}
    months = torch.arange(36).remainder(12)[None]
    with torch.no_grad():
        assert torch.isfinite(nano(values, {"S1": torch.ones(1, 36, dtype=torch.bool)}, months)).all()
        assert torch.allclose(nano._time(36)[:24], nano.pos_embed, atol=1e-5)


def test_fresh_encodings_of_time_and_month_are_the_published_ones(nano):
    fresh = GalileoEncoder(SIZES["nano"])
    for name in ("pos_embed", "month_embed.weight"):
        assert torch.allclose(fresh.state_dict()[name], nano.state_dict()[name], atol=1e-5), name


@pytest.mark.parametrize(("size", "number"), [("nano", 1_037_856), ("tiny", 5_705_520), ("base", 86_523_072)])
def test_sizes_have_the_published_number_of_parameters(size, number):
    with torch.device("meta"):
        encoder = GalileoEncoder(SIZES[size])
    assert sum(tensor.numel() for tensor in encoder.state_dict().values()) == number


def test_every_group_has_a_projection(nano):
    assert len(nano.projections(tuple(GROUPS))) == 17


def test_the_published_file_is_read_and_named_by_its_digest(folder):
    weights = read_galileo(folder)
    assert (weights.size, weights.sha256, len(weights.tensors)) == ("nano", f"sha256:{NANO}", 106)


@pytest.fixture
def copy(folder, tmp_path):
    """A folder like the published one, whose tensors can be changed."""
    shutil.copy(folder / "config.json", tmp_path / "config.json")
    tensors = dict(read_galileo(folder).tensors)

    def written(change):
        change(tensors)
        torch.save(tensors, tmp_path / "encoder.pt")
        return tmp_path

    return written


def test_names_with_the_part_that_wraps_the_encoder_are_understood(copy):
    def wrap(tensors):
        tensors["blocks.backbone.0.norm1.weight"] = tensors.pop("blocks.0.norm1.weight")

    assert read_galileo(copy(wrap)).size == "nano"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop("blocks.2.attn.q.bias"), "blocks.2.attn.q.bias is missing"),
        (lambda t: t.update({"norm.weight": torch.zeros(5)}), r"norm.weight has shape \(5,\) instead"),
        (lambda t: t.update({"extra.weight": torch.zeros(5)}), "extra.weight is not a tensor of this model"),
        (lambda t: t["norm.bias"].fill_(torch.nan), "norm.bias holds values that are not finite"),
        (lambda t: t.update({"norm.bias": "text"}), "'norm.bias' is no tensor but a str"),
        (lambda t: t.update({"norm.bias": t["norm.bias"].long()}), "norm.bias is no plain tensor"),
        (lambda t: t.update({"norm.bias": t["norm.bias"].to_sparse()}), "norm.bias is no plain tensor"),
        (lambda t: t.update({"norm.backbone.bias": t["norm.bias"]}), "it has names twice"),
    ],
)  # fmt: skip
def test_weights_that_do_not_fit_name_the_first_key(copy, change, said):
    with pytest.raises(CheckpointError, match=said):
        read_galileo(copy(change))


def test_missing_files_say_where_they_are_obtained_and_what_they_hold(tmp_path):
    with pytest.raises(CheckpointError, match=r"does not exist.*config.json and encoder.pt.*huggingface"):
        read_galileo(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match=r"has no config\.json"):
        read_galileo(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"has no encoder\.pt"):
        read_galileo(tmp_path)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"model": {"encoder": {"embedding_size": 7}}}'])
def test_a_damaged_configuration_is_refused(copy, text):
    place = copy(lambda tensors: None)
    (place / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"config.json cannot be used"):
        read_galileo(place)


def test_a_size_that_was_not_published_is_refused(copy):
    place = copy(lambda tensors: None)
    config = json.loads((place / "config.json").read_text())
    config["model"]["encoder"]["embedding_size"] = 64
    (place / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="no published size"):
        read_galileo(place)


class Trap:
    """Unpickling this would run code."""

    def __reduce__(self):
        return (print, ("code was run",))


def test_nothing_but_tensors_is_unpickled(copy, capsys):
    place = copy(lambda tensors: None)
    for write in (
        lambda: torch.save({"norm.weight": Trap()}, place / "encoder.pt"),
        lambda: (place / "encoder.pt").write_bytes(pickle.dumps(Trap())),
    ):
        write()
        with pytest.raises(CheckpointError, match="cannot be used"):
            read_galileo(place)
    assert "code was run" not in capsys.readouterr().out


def test_a_file_with_a_changed_bit_is_refused(copy):
    file = copy(lambda tensors: None) / "encoder.pt"
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 64
    file.write_bytes(whole)
    with pytest.raises(CheckpointError, match=r"its part .* is damaged"):
        read_galileo(file.parent)


def test_no_advice_to_load_with_less_care_is_passed_on(copy):
    file = copy(lambda tensors: None) / "encoder.pt"
    file.write_text("<html>not found</html>")
    with pytest.raises(CheckpointError, match="no PyTorch file") as told:
        read_galileo(file.parent)
    assert "weights_only" not in str(told.value)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_file_cut_short_is_refused(copy, share):
    file = copy(lambda tensors: None) / "encoder.pt"
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(CheckpointError, match=r"encoder.pt cannot be used"):
        read_galileo(file.parent)
