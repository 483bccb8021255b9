"""AnySat's encoder equals the published code with weights made by rule; every key of the file counts."""

import json
import math
import zlib
from itertools import combinations

import numpy as np
import pytest
import torch

from geocomiss.errors import CheckpointError
from geocomiss.pretrained.anysat import (
    IMAGES,
    SENSORS,
    SERIES,
    SIZES,
    AnySatEncoder,
    parts_of,
    read_anysat,
)

CLOSE = 1e-4
INPUTS = {"s2": ("s2", "s2_dates"), "s1-asc": ("s1asc", "s1_dates")}
CASES = {"s2": ("s2",), "s1": ("s1-asc",), "both": ("s2", "s1-asc")}


@pytest.fixture(scope="module")
def keys(shared):
    return json.loads((shared / "vectors" / "anysat_keys.json").read_text())


@pytest.fixture(scope="module")
def vectors(shared):
    stored = np.load(shared / "vectors" / "anysat_vectors.npz", allow_pickle=False)
    return {name: stored[name] for name in stored.files}


def _made(shapes):
    """Weights by the rule of the test vectors, from the names alone."""
    made = {}
    for name, shape in shapes.items():
        x = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
        if len(shape) > 1:
            x = x / math.sqrt(math.prod(shape[1:]))
        else:
            x = 1 + 0.1 * x if len(shape) == 1 and name.endswith("weight") else 0.1 * x
        made[name] = torch.tensor(x, dtype=torch.float32)
    return made


@pytest.fixture(scope="module")
def tiny_file(keys, tmp_path_factory):
    """A file as published, but tiny."""
    file = tmp_path_factory.mktemp("anysat") / "AnySat.pth"
    torch.save({"state_dict": _made(keys["tiny"])}, file)
    return file


def _encoder(tensors, size):
    encoder = AnySatEncoder(SIZES[size])
    encoder.load_state_dict(parts_of(tensors, SENSORS))
    return encoder.eval()


@pytest.fixture(scope="module")
def tiny(tiny_file):
    return _encoder(read_anysat(tiny_file).tensors, "tiny")


def _token(encoder, vectors, sensor, steps=slice(None), seen=None):
    values, days = (vectors[name][:, steps] for name in INPUTS[sensor])
    there = np.ones(days.shape, bool) if seen is None else seen
    x = torch.tensor(values, dtype=torch.float32)
    return encoder.token(sensor, x, torch.tensor(there), torch.tensor(days))


def _features(encoder, vectors, sensors):
    with torch.no_grad():
        tokens = torch.stack([_token(encoder, vectors, sensor) for sensor in sensors], 1)
        return encoder(tokens, torch.ones(tokens.shape[:2], dtype=torch.bool))


@pytest.mark.parametrize("case", CASES)
def test_tiny_equals_the_published_code(tiny, vectors, case):
    found = _features(tiny, vectors, CASES[case])
    assert np.abs(found.numpy() - vectors[f"tiny__{case}"]).max() < CLOSE


@pytest.mark.slow
def test_base_equals_the_published_code_from_a_file_of_418_tensors(keys, vectors, tmp_path):
    torch.save(_made(keys["base"]), tmp_path / "AnySat.pth")
    weights = read_anysat(tmp_path / "AnySat.pth")
    assert (weights.size, len(weights.tensors)) == ("base", 418)
    encoder = _encoder(weights.tensors, "base")
    for case, sensors in CASES.items():
        found = _features(encoder, vectors, sensors)
        assert np.abs(found.numpy() - vectors[f"base__{case}"]).max() < CLOSE, case


@pytest.mark.parametrize("size", SIZES)
def test_names_and_shapes_are_the_published_ones(keys, size):
    with torch.device("meta"):
        whole = AnySatEncoder(SIZES[size], (*IMAGES, *SERIES))
    assert {name: list(tensor.shape) for name, tensor in whole.state_dict().items()} == keys[size]


def _changes_nothing(name):
    """Keys that cannot matter for a pixel, by the mathematics of the model."""
    ends = ("predictor_blocks.1.", "blocks.2.")  # only the class token goes on: the last of each
    table = "rpe_k" in name and any(end in name for end in ends)
    # a number added to all keys of a softmax; masked steps are left out instead of overwritten
    return table or name.endswith(("fc1_k.bias", "wk.bias", "pad_parameter"))


def test_every_weight_of_the_two_sensors_is_used(tiny, vectors):
    before = {case: _features(tiny, vectors, CASES[case]) for case in ("s2", "s1", "both")}
    state = tiny.state_dict()
    for name, tensor in state.items():
        kept = tensor.clone()
        noise = torch.randn(tensor.shape, generator=torch.Generator().manual_seed(0))
        tensor.copy_(kept + 0.5 * noise)
        moved = any(
            not torch.allclose(_features(tiny, vectors, CASES[case]), found, atol=1e-5)
            for case, found in before.items()
        )
        tensor.copy_(kept)
        assert moved != _changes_nothing(name), name


def test_steps_that_are_not_seen_are_as_if_the_series_were_shorter(tiny, vectors):
    keep = [0, 2, 3, 7, 11]
    seen = np.zeros((3, 12), bool)
    seen[:, keep] = True
    with torch.no_grad():
        for sensor in SENSORS:
            one = _token(tiny, vectors, sensor, seen=seen)
            other = _token(tiny, vectors, sensor, steps=keep)
            assert torch.allclose(one, other, atol=1e-5), sensor


def test_a_sensor_that_is_not_there_is_as_if_it_had_never_been(tiny, vectors):
    with torch.no_grad():
        tokens = torch.stack([_token(tiny, vectors, sensor) for sensor in SENSORS], 1)
        for column, case in enumerate(("s2", "s1")):
            seen = torch.zeros(3, 2, dtype=torch.bool)
            seen[:, column] = True
            assert np.abs(tiny(tokens, seen).numpy() - vectors[f"tiny__{case}"]).max() < CLOSE


def test_the_order_of_the_sensors_does_not_matter(tiny, vectors):
    found = [_features(tiny, vectors, order) for order in (SENSORS, SENSORS[::-1])]
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in combinations(found, 2))


def test_a_missing_file_says_where_it_is_obtained_and_what_it_holds(tmp_path):
    with pytest.raises(CheckpointError, match=r"does not exist.*418.*huggingface.co/g-astruc/AnySat"):
        read_anysat(tmp_path / "AnySat.pth")
    with pytest.raises(CheckpointError, match="is no file"):
        read_anysat(tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop("cls_token"), "cls_token is missing"),
        (lambda t: t.update(cls_token=torch.zeros(1, 1, 9)), r"cls_token has shape \(1, 1, 9\)"),
        (lambda t: t.pop("projector_naip.mlp.3.bias"), "projector_naip.mlp.3.bias is missing"),
        (lambda t: t.update({"blocks.9.norm1.weight": torch.zeros(2)}), "blocks.9.norm1.weight is not a"),
    ],
)
def test_weights_that_do_not_fit_name_the_first_key(tiny_file, tmp_path, change, said):
    tensors = torch.load(tiny_file, weights_only=True)["state_dict"]
    change(tensors)
    torch.save(tensors, tmp_path / "AnySat.pth")
    with pytest.raises(CheckpointError, match=said):
        read_anysat(tmp_path / "AnySat.pth")


def test_a_file_of_something_else_is_refused(tmp_path):
    for content in (b"", b"not a file of tensors", b"PK\x03\x04" + bytes(50)):
        (tmp_path / "AnySat.pth").write_bytes(content)
        with pytest.raises(CheckpointError, match="cannot be used"):
            read_anysat(tmp_path / "AnySat.pth")
    torch.save([torch.zeros(3)], tmp_path / "AnySat.pth")
    with pytest.raises(CheckpointError, match="it holds a list"):
        read_anysat(tmp_path / "AnySat.pth")
