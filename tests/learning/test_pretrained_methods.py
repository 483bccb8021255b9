"""Galileo and AnySat as methods: from raw values to features, probe and fine-tuning, cards without paths."""

from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch
from typer.testing import CliRunner

from geocomiss.batch import Spec, batch_of_values, default_min_steps
from geocomiss.benchmarking import NOT_DEFINED, BenchmarkRequest, bench_of, contenders_of, run_benchmark
from geocomiss.checkpoint import read_checkpoint, write_checkpoint
from geocomiss.errors import CheckpointError, MethodError
from geocomiss.inference import predict
from geocomiss.methods import new_method, readable_spec, stated_options
from geocomiss.modalities import MODALITIES
from geocomiss.pretrained.inputs import DAYS_OF_MONTH
from geocomiss.training import Settings, TrainRequest, train_model
from geocomiss_cli.main import app

BANDS = {
    "optical": tuple(band for band in MODALITIES["optical"].band_names if band != "B9"),
    "radar": ("VV", "VH"),
    "weather": ("temperature_2m", "total_precipitation"),
    "topography": ("elevation", "slope"),
}
SMALL = {"preset": "small"}


@pytest.fixture(scope="module")
def nano(shared):
    return str(shared / "weights" / "galileo-nano")


@pytest.fixture(scope="module")
def published(shared):
    """Raw values of six pixels and the features of the published encoder."""
    stored = np.load(shared / "vectors" / "galileo_nano_vectors.npz", allow_pickle=False)
    return {name: stored[name] for name in stored.files}


@pytest.fixture(scope="module")
def raw(published):
    """The six pixels as we hold them: precipitation as a mean a day."""
    months = published["months"] + 1
    weather = published["raw_era5"].copy()
    weather[..., 1] /= np.array(DAYS_OF_MONTH)[months - 1]
    values = {
        "optical": np.concatenate([published["raw_s2"], published["ndvi"][..., None]], 2),
        "radar": published["raw_s1"],
        "weather": weather,
        "topography": published["raw_srtm"][:, None],
    }
    spec = Spec(BANDS, 12, 3, default_min_steps(tuple(BANDS), 12))
    arrays = {name: x.astype(np.float32) for name, x in values.items()}
    return spec, batch_of_values(arrays, spec, months=months)


PATTERNS = {
    "all": tuple(BANDS),
    "s2": ("optical",),
    "s1": ("radar",),
    "era5": ("weather",),
    "srtm": ("topography",),
    "s1_era5_srtm": ("radar", "weather", "topography"),
}


@pytest.mark.parametrize("case", PATTERNS)
def test_raw_values_become_the_features_of_the_published_galileo(nano, raw, published, case):
    spec, batch = raw
    method = new_method("galileo", spec, {"weights": nano}).eval()
    kept = batch.keep_only(PATTERNS[case])
    with torch.no_grad():
        for found in (method.evaluate(kept, kept.available), method.encode(kept, kept.available)):
            assert np.abs(found.numpy() - published[f"feat__{case}"]).max() < 1e-5


def test_bands_that_the_table_lacks_are_groups_that_are_missing(nano, raw, published):
    spec, batch = raw
    bands = {**BANDS, "optical": BANDS["optical"][:-1]}
    lean = replace(batch.keep_only(("optical",)), x={**batch.x, "optical": batch.x["optical"][..., :-1]})
    method = new_method("galileo", replace(spec, bands=bands), {"weights": nano}).eval()
    with torch.no_grad():
        found = method.evaluate(lean, lean.available)
    assert np.abs(found.numpy() - published["feat__s2_nondvi"]).max() < 1e-5


def test_a_missing_step_is_no_token_whatever_fills_the_gap(nano, raw):
    spec, batch = raw
    method = new_method("galileo", spec, {"weights": nano}).eval()
    keep = torch.ones(6, 12, dtype=torch.bool)
    keep[:3, 4:6] = False
    gappy = batch.keep_steps({"optical": keep, "radar": keep})
    filled = {**gappy.x, "optical": torch.where(keep[..., None], gappy.x["optical"], 7.0)}
    with torch.no_grad():
        found, other, whole = (method(each) for each in (gappy, replace(gappy, x=filled), batch))
    assert torch.equal(found, other)
    assert torch.equal(found[3:], whole[3:]) and not torch.allclose(found[:3], whole[:3], atol=1e-4)


def test_bfloat16_gives_nearly_the_same_features(nano, raw):
    spec, batch = raw
    exact, half = (
        new_method("galileo", spec, {"weights": nano, "precision": each}).eval()
        for each in ("float32", "bfloat16")
    )
    with torch.no_grad():
        one, two = (method.evaluate(batch, batch.available) for method in (exact, half))
    assert two.dtype == torch.float32
    assert 0 < (one - two).abs().max() < 0.1


def test_pixels_with_nothing_but_shared_weather_are_encoded_once(spec, world, monkeypatch):
    method = new_method("galileo", spec, SMALL).eval()
    values = world.values(np.zeros(4, int))
    cells = np.random.default_rng(0).integers(0, 4, 90)
    values = {"weather": values["weather"]}
    batch = batch_of_values(values, spec, {"weather": cells}, months=np.arange(1, 13))
    rows, encoded = [], method.encoder.forward

    def counted(x, *others):
        rows.append(len(next(iter(x.values()))))
        return encoded(x, *others)

    monkeypatch.setattr(method.encoder, "forward", counted)
    with torch.no_grad():
        found = method(batch)
    assert sum(rows) == 32  # one chunk
    assert len(torch.unique(found, dim=0)) <= 4
    one = batch_of_values({"weather": values["weather"][cells]}, spec, months=np.arange(1, 13))
    with torch.no_grad():
        assert torch.equal(method(one), found)


@pytest.mark.parametrize("name", ["galileo", "anysat"])
def test_a_frozen_encoder_stays_as_it_is_and_a_fine_tuned_one_does_not(name, spec, labelled):
    batch, y = labelled
    for freeze in (True, False):
        torch.manual_seed(0)
        method = new_method(name, spec, {**SMALL, "freeze": freeze})
        before = {key: tensor.clone() for key, tensor in method.encoder.state_dict().items()}
        head = method.head[2].weight.clone()
        optimiser = torch.optim.Adam(method.parameter_groups(1e-2))
        method.train().loss(batch, y, torch.Generator().manual_seed(0))["total"].backward()
        optimiser.step()
        same = [torch.equal(tensor, before[key]) for key, tensor in method.encoder.state_dict().items()]
        assert all(same) if freeze else not all(same)
        assert not torch.equal(method.head[2].weight, head)


def test_head_and_encoder_learn_at_their_own_rates(spec):
    rates = {"head_rate": 4.0, "encoder_rate": 0.25}
    method = new_method("galileo", spec, {**SMALL, **rates})
    assert [group["lr"] for group in method.parameter_groups(1e-2)] == [4e-2, 2.5e-3]
    frozen = new_method("galileo", spec, {**SMALL, **rates, "freeze": True})
    assert [group["lr"] for group in frozen.parameter_groups(1e-2)] == [4e-2]


def test_a_trained_model_states_its_weights_and_needs_the_file_no_more(nano, samples, tmp_path):
    link = tmp_path / "weights"
    link.symlink_to(nano)
    request = TrainRequest(
        "label", None, "galileo", {"weights": str(link), "freeze": True}, "fold=0", Settings(2)
    )
    trained = train_model(samples, request)
    card = write_checkpoint(tmp_path / "model", trained.card, trained.method)
    link.unlink()
    assert card.options["size"] == "nano" and card.options["freeze"] is True
    assert str(card.options["weights"]).startswith("sha256:eab6acac")
    assert str(tmp_path) not in card.model_dump_json()
    again = read_checkpoint(str(tmp_path / "model")).method
    for key, tensor in trained.method.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[key]), key


@pytest.mark.parametrize("months", [None, np.zeros(12, int)])
def test_unknown_months_are_refused(spec, world, months):
    batch = batch_of_values(world.values(np.zeros(5, int)), spec, months=months)
    for name in ("galileo", "anysat"):
        with pytest.raises(MethodError, match="unknown months"):
            new_method(name, spec, SMALL).eval()(batch)


def test_anysat_reads_optical_and_radar_and_says_nothing_without_them(spec, labelled):
    batch, _ = labelled
    method = new_method("anysat", spec, SMALL).eval()
    with torch.no_grad():
        assert not method(batch.keep_only(("weather", "topography"))).any()
        whole, imaging = method(batch), method(batch.keep_only(("optical", "radar")))
    assert torch.equal(whole, imaging)


def test_a_model_of_anysat_maps_no_class_where_it_can_read_nothing(samples):
    trained = train_model(samples, TrainRequest("label", None, "anysat", dict(SMALL), "fold=0", Settings(1)))
    assert tuple(trained.card.bands) == ("optical", "radar")
    assert len(trained.card.scores.patterns) == 3
    spec = trained.card.spec
    values = {name: samples.values[name] for name in spec.modalities}
    values["optical"] = np.where(np.arange(180)[:, None, None] < 90, np.nan, values["optical"])
    values["radar"] = np.where(np.arange(180)[:, None, None] < 45, np.nan, values["radar"])
    found = predict(trained.method, batch_of_values(values, spec, months=samples.months))
    assert not found.value[:45].any() and found.value[90:].any()


@pytest.mark.parametrize(("have", "stands"), [(("B8",), ("B8", "B8")), (("B8A",), ("B8A", "B8A"))])
def test_the_near_infrared_bands_stand_in_for_each_other(have, stands):
    bands = ("B2", *have)
    spec = Spec({"optical": bands}, 12, 2, {"optical": 3})
    channels = new_method("anysat", spec, SMALL).channels["optical"]
    assert [bands[place] for place in channels[6:8]] == list(stands)
    assert channels[0] == 0 and channels[1] == len(bands)  # green is in no band of the table


def test_tables_that_an_encoder_cannot_read_are_refused():
    weather = Spec({"weather": ("temperature_2m",)}, 12, 2, {"weather": 1})
    with pytest.raises(MethodError, match="optical or radar"):
        new_method("anysat", weather, SMALL)
    with pytest.raises(MethodError, match="optical or radar"):
        readable_spec("anysat", weather)
    with pytest.raises(MethodError, match="temperature_2m and total_precipitation"):
        new_method("galileo", weather, SMALL)


@pytest.mark.parametrize("name", ["galileo", "anysat"])
def test_weights_that_are_not_there_are_said_before_anything_is_trained(name, spec, tmp_path):
    with pytest.raises(CheckpointError, match="obtain them from huggingface"):
        new_method(name, spec, {"weights": str(tmp_path / "nowhere")})


def test_options_name_weights_by_their_digest_wherever_they_lie(nano, tmp_path):
    (tmp_path / "other").symlink_to(nano)
    found = [stated_options("galileo", {"weights": path}) for path in (nano, str(tmp_path / "other"))]
    assert found[0] == found[1] and found[0]["weights"].startswith("sha256:eab6")
    assert found[0]["freeze"] is False and "weights" not in stated_options("comiss", {"temperature": 1})


def test_a_comparison_has_pretrained_methods_where_their_weights_are_given(nano):
    plain = [each.key for each in contenders_of(["all"], SMALL)]
    both = contenders_of(["all"], SMALL, weights={"galileo": nano})
    assert "galileo" not in plain and "anysat" not in plain
    more = {each.key: each for each in both if each.key not in plain}
    assert list(more) == ["galileo", "galileo-probe"]
    assert more["galileo-probe"].options == {"preset": "small", "weights": nano, "freeze": True}
    with pytest.raises(MethodError, match="none are given"):
        contenders_of(["galileo-probe"], SMALL)
    with pytest.raises(MethodError, match="takes no part"):
        contenders_of(["comiss"], SMALL, weights={"galileo": nano})


def _said(*arguments):
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, f"{result.output} {result.exception}"


def test_the_command_line_asks_for_weights_and_says_where_they_are_found(tmp_path):
    start = ("train", "--samples", "simulated", "--n", "60", "--out", str(tmp_path / "model"))
    code, text = _said(*start, "--method", "anysat")
    assert code and not (tmp_path / "model").exists()
    assert "fresh" in text and "huggingface" in text
    code, text = _said(*start, "--method", "galileo", "--weights", str(tmp_path / "gone"))
    assert code and "does not exist" in text
    code, text = _said(*start, "--method", "comiss", "--freeze")
    assert code and "freeze" in text


def test_fresh_weights_are_trained_from_the_command_line(tmp_path):
    arguments = ("--samples", "simulated", "--n", "150", "--epochs", "1", "--preset", "small")
    code, text = _said(
        "train", *arguments, "--method", "galileo", "--weights", "fresh", "--out", str(tmp_path / "model")
    )
    assert code == 0, text
    assert read_checkpoint(str(tmp_path / "model")).card.options["weights"] == "fresh"


def test_a_comparison_is_blank_where_anysat_has_nothing_to_read(samples, tmp_path):
    contenders = contenders_of(["anysat"], {**SMALL, "weights": "fresh"})
    settings = Settings(epochs=1)
    request = BenchmarkRequest("label", contenders, folds="fold", seeds=(0,), settings=settings)
    results = run_benchmark(bench_of(samples, request), request, tmp_path)
    of = dict(zip(results.conditions, results.predicted["anysat"][0], strict=True))
    answered = {name for name, said in of.items() if ":" not in name and (said != NOT_DEFINED).all()}
    # as on the poster: what it reads, and everything; radar and weather would be radar again
    assert answered - {"check"} == {"optical+radar+weather+topography", "optical+radar", "optical", "radar"}
    assert (of["radar+weather"] == NOT_DEFINED).all()
    assert (of["months:4"] != NOT_DEFINED).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["galileo", "anysat"])
def test_a_pretrained_model_makes_a_map(name, tmp_path):
    train = (
        "--samples",
        "simulated",
        "--n",
        "300",
        "--epochs",
        "1",
        "--preset",
        "small",
        "--weights",
        "fresh",
    )
    code, text = _said("train", *train, "--method", name, "--out", str(tmp_path / "model"))
    assert code == 0, text
    area = ("--source", "simulated", "--season", "2021", "--aoi", "4.50,50.80,4.506,50.804")
    code, text = _said("map", *area, "--model", str(tmp_path / "model"), "--out", str(tmp_path / "map"))
    assert code == 0, text
    with rasterio.open(tmp_path / "map" / "crop_type.tif") as classes:
        assert classes.read(1).any()
    with rasterio.open(tmp_path / "map" / "modalities.tif") as used:
        bits = used.read(1)
    assert bits[bits < 255].max() <= (15 if name == "galileo" else 3)
