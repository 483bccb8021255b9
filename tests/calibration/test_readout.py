"""What is said of pixels: equal to the formulas pixel by pixel, and the class is left alone."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from learning.conftest import BANDS, CLASSES, STEPS, World

from geocomiss.batch import Spec, batch_of_values, default_min_steps
from geocomiss.calibration import Readout, calibration_error
from geocomiss.calibration.stored import key_of
from geocomiss.modalities import patterns

PRIORS = (0.1, 0.1, 0.8)


@pytest.fixture(scope="module")
def batch():
    """Pixels with all kinds of gaps, the last without anything."""
    y = np.random.default_rng(5).integers(0, 3, 160)
    spec = Spec(BANDS, STEPS, len(CLASSES), default_min_steps(tuple(BANDS), STEPS))
    made = batch_of_values(World(holes=0.4).values(y), spec)
    keep = torch.rand(160, 4, generator=torch.Generator().manual_seed(1)) < 0.7
    keep[-1] = False
    return made.keep(keep)


@pytest.fixture(scope="module")
def logits():
    return torch.randn(160, 3, generator=torch.Generator().manual_seed(2)) * 3


def key_at(batch, pixel):
    return key_of(tuple(np.array(batch.modalities)[batch.available[pixel].numpy()]))


def test_without_calibration_it_is_the_softmax(batch, logits):
    said = Readout().read(logits, batch)
    assert torch.equal(said.confidence, torch.softmax(logits, 1).max(1).values)
    assert torch.equal(said.index, logits.argmax(1))
    assert Readout().expected_accuracy(said.index, batch) is None


def test_confidence_is_that_of_the_pattern_and_the_class_stays(batch, logits, known):
    said = Readout(known).read(logits, batch)
    assert torch.equal(said.index, logits.argmax(1))
    seen = set()
    for pixel in range(159):
        each = known.patterns[key_at(batch, pixel)] if batch.available[pixel].any() else None
        if each:
            odds = [
                math.exp(float(z) / each.temperature + b)
                for z, b in zip(logits[pixel], each.bias, strict=True)
            ]
            assert float(said.confidence[pixel]) == pytest.approx(
                odds[said.index[pixel]] / sum(odds), abs=1e-5
            )
            seen.add(key_at(batch, pixel))
    assert len(seen) > 10
    assert float(said.confidence[-1]) == pytest.approx(float(torch.softmax(logits[-1], 0).max()))


def test_priors_are_the_formula_of_saerens(batch, logits, known):
    plain = Readout(known, known.shares)
    weighted = replace(plain, priors=PRIORS)
    codes = torch.full((160,), 15)
    before, after = (each.probabilities(logits, codes).numpy() for each in (plain, weighted))
    slow = before * np.array(PRIORS) / np.array(known.shares)
    np.testing.assert_allclose(after, slow / slow.sum(1, keepdims=True), atol=1e-6)
    said = weighted.read(logits, batch)
    own = weighted.probabilities(logits, torch.zeros(160, dtype=torch.int64))  # uncalibrated, to compare with
    assert not torch.equal(said.index, own.argmax(1)) and not torch.equal(said.index, logits.argmax(1))
    assert (said.confidence >= 1 / 3 - 1e-6).all()  # the most probable of three


def test_shares_as_in_training_change_no_probability(logits, known):
    codes = torch.full((160,), 3)
    one = Readout(known, known.shares).probabilities(logits, codes)
    two = Readout(known, known.shares, known.shares).probabilities(logits, codes)
    torch.testing.assert_close(one, two)


def test_a_class_that_does_not_occur_is_never_written(batch, logits, known):
    for calibration in (known, None):
        said = Readout(calibration, known.shares, (0.6, 0.4, 0.0)).read(logits, batch)
        assert (said.index < 2).all() and torch.isfinite(said.confidence).all()


def test_expected_accuracy_equals_the_slow_way(batch, logits, known):
    index = logits.argmax(1)
    found = Readout(known).expected_accuracy(index, batch)
    for pixel in range(159):
        if not batch.available[pixel].any():
            continue
        each = known.patterns[key_at(batch, pixel)]
        odds = each.right[index[pixel]]
        for name, fall in each.steps.items():
            odds += fall * (int(batch.valid[name][pixel].sum()) / STEPS - 1)
        assert float(found[pixel]) == pytest.approx(1 / (1 + math.exp(-odds)), abs=1e-5)


def test_it_is_not_known_with_priors(batch, logits, known):
    readout = Readout(known, known.shares, PRIORS)
    assert readout.expected_accuracy(logits.argmax(1), batch) is None and not readout.knows_accuracy


def test_a_pixel_says_the_same_whatever_its_neighbours_are(batch, logits, known):
    readout = Readout(known, known.shares)
    whole, index = readout.read(logits, batch), logits.argmax(1)
    expected = readout.expected_accuracy(index, batch)
    for part in (slice(7, 8), slice(30, 93)):
        assert torch.equal(readout.read(logits[part], batch[part]).confidence, whole.confidence[part])
        assert torch.equal(readout.expected_accuracy(index[part], batch[part]), expected[part])


def test_rows_that_repeat_count_their_own_steps(batch, logits, known):
    """Weather cells: valid steps are found by the row of each pixel."""
    rows = torch.arange(159, -1, -1)
    folded = replace(
        batch,
        x=dict(batch.x) | {"weather": batch.x["weather"].flip(0)},
        valid=dict(batch.valid) | {"weather": batch.valid["weather"].flip(0)},
        index={"weather": rows},
    )
    index, readout = logits.argmax(1), Readout(known)
    assert torch.equal(readout.expected_accuracy(index, folded), readout.expected_accuracy(index, batch))


def test_another_calibration_or_other_priors_have_another_digest(known):
    digests = {
        each.digest
        for each in (
            Readout(),
            Readout(known, known.shares),
            Readout(known, known.shares, PRIORS),
            Readout(known, known.shares, (0.2, 0.2, 0.6)),
        )
    }
    assert len(digests) == 4
    assert len(patterns(tuple(BANDS))) == len(known.patterns)


def test_probabilities_re_weighted_to_the_true_shares_are_calibrated():
    """Two classes seen through noise: trained with shares (.5, .5), used where they are (.9, .1)."""
    rng = np.random.default_rng(0)
    y = (rng.random(40_000) < 0.1).astype(int)
    spread = np.array([1.0, 3.0])
    x = rng.normal(scale=spread[y])
    logits = torch.from_numpy(-(x[:, None] ** 2) / (2 * spread**2) - np.log(spread))  # log p(x | c) + const
    errors = {}
    for name, priors in (("as trained", None), ("re-weighted", (0.9, 0.1))):
        readout = Readout(None, (0.5, 0.5), priors)
        probability, index = readout.probabilities(logits, torch.zeros(len(y), dtype=torch.long)).max(1)
        errors[name] = calibration_error(probability.numpy(), index.numpy() == y)
    assert errors["re-weighted"] < 0.01 < 0.04 < errors["as trained"]
