"""Networks made fast for prediction say what the trained ones say."""

import copy
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from gappy import BANDS

from geocomiss.batch import Spec, batch_of_values, default_min_steps
from geocomiss.calibration import Readout
from geocomiss.checkpoint import read_checkpoint
from geocomiss.engine import FoldedTempCNN, layers, precision_of, prepared
from geocomiss.engine.layers import fuses
from geocomiss.errors import MethodError
from geocomiss.methods import METHODS, new_method
from geocomiss.methods.gaps import drop_steps
from geocomiss.modalities import MODALITIES
from geocomiss.nets import CHUNK, CHUNK_ON_GPU, SIZES, BatchNorm, TempCNN, in_chunks
from geocomiss.samples.simulated import simulated_samples
from geocomiss.samples.tensors import batch_of_samples


def trained(bands, steps, preset="small", seed=0):
    """An encoder whose batch norms have seen something."""
    generator = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    net = TempCNN(bands, steps, SIZES[preset], 0.2)
    settle(net, generator)
    return net.eval()


def settle(network, generator):
    for module in network.modules():
        if isinstance(module, BatchNorm):
            module.running_mean.normal_(generator=generator)
            module.running_var.uniform_(0.5, 2, generator=generator)
            torch.nn.init.normal_(module.weight, generator=generator)
            torch.nn.init.normal_(module.bias, generator=generator)


@pytest.mark.parametrize(("bands", "steps"), [(11, 12), (2, 12), (1, 1), (3, 2), (2, 5), (4, 36)])
@pytest.mark.parametrize("preset", ["small", "full"])
def test_a_folded_encoder_is_the_encoder(bands, steps, preset):
    net = trained(bands, steps, preset)
    x = torch.randn(7, steps, bands)
    with torch.inference_mode():
        wanted = net(x)
        exact = FoldedTempCNN(net, torch.float32)(x)
        half = FoldedTempCNN(net, torch.bfloat16)(x)
    assert exact.dtype == half.dtype == torch.float32
    assert (exact - wanted).abs().max() < 1e-4 * wanted.std()
    assert (half - wanted).abs().max() < 0.1 * wanted.std()


def test_the_trained_network_stays_as_it_is():
    net = trained(3, 12)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    FoldedTempCNN(net, torch.bfloat16)(torch.randn(4, 12, 3))
    assert all((net.state_dict()[name] == tensor).all() for name, tensor in before.items())


def a_batch(number, seed=0):
    rng = np.random.default_rng(seed)
    shapes = {name: (1 if name == "topography" else 12, len(bands)) for name, bands in BANDS.items()}
    values = {name: rng.normal(0, 1, (number, *shape)).astype("f4") for name, shape in shapes.items()}
    for cube in values.values():
        cube[rng.random(cube.shape[:2]) < 0.2] = np.nan
    kept = rng.random((number, len(BANDS))) < 0.8
    spec = Spec(BANDS, 12, 4, default_min_steps(tuple(BANDS), 12), False, "classes")
    return spec, batch_of_values(values, spec, kept=kept)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("galileo", "anysat")])
def test_every_method_gives_nearly_the_same_logits_in_bfloat16(name):
    spec, batch = a_batch(300)
    torch.manual_seed(0)
    method = new_method(name, spec, {"preset": "small"}).eval()
    settle(method, torch.Generator().manual_seed(1))
    fast = prepared(method, "bfloat16")
    kinds = [type(module) for module in fast.modules()]
    assert FoldedTempCNN in kinds and TempCNN not in kinds
    with torch.inference_mode():
        wanted, found = method(batch), fast(batch)
    assert (found[~batch.available.any(1)] == 0).all()
    assert (found - wanted).abs().max() < 0.1 * wanted.std()
    assert (found.argmax(1) == wanted.argmax(1)).float().mean() > 0.97


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("galileo", "anysat")])
def test_folding_alone_changes_nothing_but_the_last_digits(name):
    spec, batch = a_batch(300)
    torch.manual_seed(0)
    method = new_method(name, spec, {"preset": "small"}).eval()
    settle(method, torch.Generator().manual_seed(1))
    before = {key: tensor.clone() for key, tensor in method.state_dict().items()}
    with torch.inference_mode():
        wanted, found = method(batch), prepared(method, "float32")(batch)
    assert (found - wanted).abs().max() < 1e-4 * wanted.std()
    assert all((method.state_dict()[key] == tensor).all() for key, tensor in before.items())


@pytest.mark.parametrize(
    "changed", [{"unused": "kept"}, {"discriminated": "specific+unused"}, {"head": "mlp"}]
)
def test_what_classifiers_do_not_read_is_not_computed(changed):
    spec, batch = a_batch(100)
    method = new_method("comiss", spec, {"preset": "small", **changed}).eval()
    settle(method, torch.Generator().manual_seed(1))
    fast = prepared(method, "float32")
    for pair in (fast.branches[name].features for name in spec.modalities):
        assert len(pair.own.last.weight) == len(pair.common.last.weight) == SIZES["small"].features // 2
    with torch.inference_mode():
        wanted = method(batch)
        assert (fast(batch) - wanted).abs().max() < 1e-4 * wanted.std()


@pytest.mark.parametrize("preset", ["small", "full"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_torch_that_lacks_the_fused_layers_gives_nearly_the_same(precision, preset, monkeypatch):
    spec, batch = a_batch(100)
    method = new_method("comiss", spec, {"preset": preset}).eval()
    settle(method, torch.Generator().manual_seed(1))
    with torch.inference_mode():
        fused = prepared(method, precision)(batch)
        monkeypatch.setattr("geocomiss.engine.layers.fuses", lambda dtype: False)
        public = prepared(method, precision)(batch)
    assert (fused - public).abs().max() < (1e-4 if precision == "float32" else 0.05) * public.std()


def test_errors_of_rounded_weights_do_not_add_up():
    weight = torch.randn(8, 16, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    kept, plain = layers.rounded(weight, torch.bfloat16), weight.to(torch.bfloat16)
    assert kept.dtype == torch.bfloat16 and kept.shape == weight.shape
    summed = [(tensor.double() - weight).flatten(1).cumsum(1).abs().max() for tensor in (kept, plain)]
    unit = float(weight.abs().max()) * 2**-7  # bfloat16 has eight digits
    assert summed[0] <= unit / 2 < summed[1]
    assert (layers.rounded(weight, torch.float32) == weight.float()).all()


def test_an_operator_with_other_arguments_counts_as_lacking(monkeypatch):
    def changed(*arguments):
        raise TypeError("other arguments")

    monkeypatch.setattr("geocomiss.engine.layers._convolved", changed)
    fuses.cache_clear()
    assert not fuses(torch.float32)
    fuses.cache_clear()


def test_layers_of_a_gpu_are_called_as_this_torch_has_them():
    rows, weight, bias = torch.randn(5, 16), torch.randn(8, 16), torch.randn(8)
    assert (layers._multiplied_on_gpu(rows, weight, bias) == F.linear(rows, weight, bias).relu()).all()
    lines, taps = torch.zeros(1, 16, 2, 12), torch.zeros(16, 16, 1, 5)
    with pytest.raises(NotImplementedError, match="CPU"):  # not TypeError: its arguments are right
        layers._convolved_on_gpu(lines, taps, torch.zeros(16))


def test_a_gpu_gets_more_rows_at_once():
    seen = []

    def noted(rows):
        seen.append(len(rows))
        return rows

    rows = torch.empty(CHUNK_ON_GPU + 1, 1, device="meta")
    assert in_chunks(noted, rows).shape == rows.shape and seen == [CHUNK_ON_GPU] * 2
    seen.clear()
    assert in_chunks(noted, torch.zeros(CHUNK + 1, 1)).shape == (CHUNK + 1, 1) and seen == [CHUNK] * 2


@pytest.mark.parametrize("preset", ["small", "full"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_prepared_method_travels_to_other_processes(precision, preset):
    spec, batch = a_batch(100)
    fast = prepared(new_method("comiss", spec, {"preset": preset}).eval(), precision)
    with torch.inference_mode():
        here = fast(batch)
        there = pickle.loads(pickle.dumps(fast))
        assert (there(batch) == here).all() and (copy.deepcopy(fast)(batch) == here).all()


@pytest.mark.parametrize("preset", ["small", "full"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_threads_do_not_change_a_bit(precision, preset):
    spec, batch = a_batch(700)
    fast = prepared(new_method("comiss", spec, {"preset": preset}).eval(), precision)
    with torch.inference_mode():
        one = fast(batch)
        torch.set_num_threads(2)
        try:
            two = fast(batch)
        finally:
            torch.set_num_threads(1)
    assert (one == two).all()


@pytest.fixture(scope="module")
def shipped():
    """The shipped model and samples of its world, whole and with random holes."""
    known = read_checkpoint("simulated")
    batch = batch_of_samples(simulated_samples(240, 11, known.card.recipe), known.card.spec)
    generator, parts = torch.Generator().manual_seed(5), [batch]
    for _ in range(8):
        some = torch.rand(len(batch), generator=generator) < 0.7
        there = torch.rand(len(batch), len(batch.modalities), generator=generator) < 0.8
        parts.append(drop_steps(batch, some, 0.5, generator).keep(there))
    return known, parts


@pytest.mark.parametrize("kind", ["trained", "random"])
def test_bfloat16_agrees_with_float32(kind, shipped):
    known, parts = shipped
    method, readout = known.method, known.card.readout()
    if kind == "random":
        torch.manual_seed(0)
        method, readout = new_method("comiss", known.card.spec, {"preset": "full"}).eval(), Readout()
        method.fit_normalisation(parts[0])
    agreed = [compared(method, readout, part) for part in parts]
    same, margin, apart = (torch.cat(each) for each in zip(*agreed, strict=True))
    assert same.float().mean() >= 0.995
    assert same[margin > 0.02].float().mean() >= 0.9995
    assert apart[same].max() <= 0.01


def compared(method, readout, part):
    """Per pixel: the same class? By which margin was it the most probable one? How far apart are confidences?

    A calibrated confidence is that of the class written: where that is another one, so is the confidence.
    """
    exact, half = prepared(method, "float32"), prepared(method, "bfloat16")
    some = part.available.any(1)
    with torch.inference_mode():
        wanted, found = exact(part), half(part)
        one, other = readout.read(wanted, part), readout.read(found, part)
    best = wanted.softmax(1).topk(2).values
    apart = (one.confidence - other.confidence).abs()
    return (one.index == other.index)[some], (best[:, 0] - best[:, 1])[some], apart[some]


@pytest.mark.parametrize("preset", ["small", "full"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_pixel_has_the_same_bits_whatever_its_neighbours(precision, preset):
    spec, batch = a_batch(600)
    fast = prepared(new_method("comiss", spec, {"preset": preset}).eval(), precision)
    order = torch.randperm(600, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        whole = fast(batch)
        assert (fast(batch[order]) == whole[order]).all()
        assert (fast(batch[17:40]) == whole[17:40]).all()


def test_the_precision_that_is_asked_for(monkeypatch):
    spec, _ = a_batch(2)
    method = new_method("comiss", spec, {"preset": "small"})
    assert precision_of("float32", "cpu", method) == "float32"
    assert precision_of("bfloat16", "cpu", method) == "bfloat16"
    assert precision_of("auto", "cuda", method) == "bfloat16"
    for able, wanted in (("avx512_bf16", "bfloat16"), ("amx_bf16", "bfloat16"), ("avx2", "float32")):
        monkeypatch.setattr("geocomiss.engine.precision._capabilities", lambda able=able: {able: True})
        assert precision_of("auto", "cpu", method) == wanted


def test_pretrained_encoders_compute_with_what_is_stated(monkeypatch):
    monkeypatch.setattr("geocomiss.engine.precision._capabilities", lambda: {"avx512_bf16": True})
    bands = {name: modality.band_names for name, modality in MODALITIES.items()}
    spec = Spec(bands, 12, 4, default_min_steps(tuple(bands), 12), False, "classes")
    anysat = new_method("anysat", spec, {"preset": "small", "weights": "fresh"})
    assert precision_of("auto", "cpu", anysat) == "float32" and prepared(anysat, "float32") is anysat
    with pytest.raises(MethodError, match="expected float32"):
        precision_of("bfloat16", "cpu", anysat)
    galileo = new_method("galileo", spec, {"preset": "small", "weights": "fresh"})
    assert [precision_of("auto", device, galileo) for device in ("cpu", "cuda")] == ["float32", "bfloat16"]
    assert precision_of("float32", "cuda", galileo) == "float32"
    assert prepared(galileo, "bfloat16").precision == "bfloat16" and galileo.precision == "auto"
    stated = new_method("galileo", spec, {"preset": "small", "weights": "fresh", "precision": "bfloat16"})
    assert precision_of("auto", "cpu", stated) == "bfloat16"
