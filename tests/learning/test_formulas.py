"""Each objective equals its formula, computed pixel by pixel from what the method predicts."""

import numpy as np
import pytest
import torch

from geocomiss.batch import Spec
from geocomiss.methods import new_method
from geocomiss.methods.features import View
from geocomiss.methods.fusion import all_subsets, draw_keep, first_of, mean_of_kept
from geocomiss.methods.separated import Outputs
from geocomiss.modalities import patterns

SEED = 3
T = 0.5


class Slow:
    """The terms of the formulas, in loops, from nothing but the predictions of a method."""

    def __init__(self, method, batch, y):
        self.batch, self.y, self.weight = batch, y.tolist(), method.class_weight.double().tolist()
        self.available = batch.available
        self.full = self._log_p(method, batch.available)
        each = torch.eye(self.available.shape[1], dtype=torch.bool)
        self.each = [self._log_p(method, one) for one in each]
        self.method = method

    def _log_p(self, method, keep, temperature=1.0):
        with torch.no_grad():
            logits = method(self.batch.keep(keep)).double()
        return torch.log_softmax(logits / temperature, 1).numpy()

    def ce(self, keep):
        log_p, rows = self._log_p(self.method, keep), (self.available & keep).any(1)
        return self._weighted({n: -log_p[n, self.y[n]] for n in np.flatnonzero(rows)})

    def kl(self, keep):
        teacher, student = self._pair(keep)
        rows = np.flatnonzero((self.available & keep).any(1))
        return np.mean([T**2 * self._divergence(teacher[n], student[n]) for n in rows])

    def individual_ce(self):
        return self._weighted(
            {n: np.mean([-self.each[m][n, self.y[n]] for m in self._of(n)]) for n in self._seen()}
        )

    def individual_kl(self):
        ones = torch.eye(self.available.shape[1], dtype=torch.bool)
        pairs = [self._pair(one) for one in ones]
        return np.mean(
            [
                np.mean([T**2 * self._divergence(pairs[m][0][n], pairs[m][1][n]) for m in self._of(n)])
                for n in self._seen()
            ]
        )

    def _pair(self, keep):
        everything = torch.ones_like(keep)
        return self._log_p(self.method, everything, T), self._log_p(self.method, keep, T)

    def _divergence(self, teacher, student):
        return float((np.exp(teacher) * (teacher - student)).sum())

    def _of(self, n):
        return np.flatnonzero(self.available[n])

    def _seen(self):
        return np.flatnonzero(self.available.any(1))

    def _weighted(self, losses):
        weights = [self.weight[self.y[n]] for n in losses]
        return float(np.dot(weights, list(losses.values())) / sum(weights))


@pytest.fixture(scope="module")
def make(spec, labelled):
    def _make(name, options=None):
        batch, y = labelled
        torch.manual_seed(1)
        method = new_method(name, spec, {"preset": "small", **(options or {})})
        method.fit_normalisation(batch)
        method.fit_class_weights(y)
        method.train()
        for _ in range(3):  # batch statistics that are not those of the start
            method.loss(batch, y, torch.Generator())
        method.eval()
        return method, Slow(method, batch, y)

    return _make


def _losses(method, labelled):
    batch, y = labelled
    with torch.no_grad():
        return {k: v.item() for k, v in method.loss(batch, y, torch.Generator().manual_seed(SEED)).items()}


def _drawn(number, law="batch"):
    return draw_keep(number, 4, law, torch.Generator().manual_seed(SEED))


def _close(found, expected):
    assert found == pytest.approx(expected, rel=2e-5)


def test_unimodal_is_the_sum_of_four_cross_entropies(make, labelled, spec):
    method, slow = make("unimodal")
    losses = _losses(method, labelled)
    expected = [slow.ce(torch.tensor([one == name for one in spec.modalities])) for name in spec.modalities]
    _close([losses[name] for name in spec.modalities], expected)
    _close(losses["total"], sum(expected))
    with torch.no_grad():
        _close(method.monitored(*labelled).item(), sum(expected))


def test_fcom_is_one_cross_entropy_over_all_subsets(make, labelled, spec):
    method, slow = make("fcom-av")
    batch, y = labelled
    found = {}
    for pattern in patterns(spec.modalities):
        keep = torch.tensor([name in pattern for name in spec.modalities])
        log_p = slow._log_p(method, keep)
        for n in np.flatnonzero((batch.available & keep).any(1)):
            found[pattern, n] = (method.class_weight[y[n]].item(), -log_p[n, y[n]])
    weights, losses = np.array(list(found.values())).T
    _close(_losses(method, labelled)["total"], (weights @ losses) / weights.sum())


@pytest.mark.parametrize("law", ["batch", "strict", "sample"])
def test_dsensd_is_the_cross_entropy_of_a_random_subset(make, labelled, law):
    method, slow = make("dsensd", {"subset": law})
    keep = _drawn(len(labelled[1]), law)
    _close(_losses(method, labelled)["total"], slow.ce(keep))


def test_dsensd_as_released_uses_only_the_first_of_the_subset(make, labelled):
    method, slow = make("dsensd", {"first_only": True, "subset": "sample"})
    keep = _drawn(len(labelled[1]), "sample")
    first = torch.zeros_like(keep)
    for row, kept in zip(first, keep, strict=True):
        row[kept.nonzero()[0]] = True
    _close(_losses(method, labelled)["total"], slow.ce(first))


def test_the_first_of_a_subset_is_drawn_as_the_released_code_draws_it():
    keep = draw_keep(60_000, 4, "sample", torch.Generator().manual_seed(0))
    shares = first_of(keep).float().mean(0)
    assert torch.allclose(shares, torch.tensor([8.0, 4.0, 2.0, 1.0]) / 15, atol=0.01)


def test_all_subsets_are_the_patterns_and_drawn_alike(spec):
    subsets = all_subsets(4)
    assert len({tuple(row) for row in subsets.tolist()}) == 15 and subsets[0].all()
    drawn = draw_keep(60_000, 4, "sample", torch.Generator().manual_seed(1))
    shares = torch.stack([(drawn == one).all(1).float().mean() for one in subsets])
    assert torch.allclose(shares, torch.full((15,), 1 / 15), atol=0.005)


def test_dsensd_plus_equals_its_formula(make, labelled):
    method, slow = make("dsensd+")
    keep = _drawn(len(labelled[1]))
    everything = torch.ones_like(keep)
    expected = slow.ce(keep) + slow.ce(everything) + slow.individual_ce() + slow.individual_kl()
    _close(_losses(method, labelled)["total"], expected)


@pytest.mark.parametrize("full", [False, True])
def test_timmil_is_the_cross_entropy_of_a_random_subset(make, labelled, full):
    method, slow = make("timmil", {"full": full})
    keep = _drawn(len(labelled[1]))
    expected = slow.ce(keep) + (slow.ce(torch.ones_like(keep)) if full else 0)
    _close(_losses(method, labelled)["total"], expected)


@pytest.mark.parametrize("name", ["fullco", "comiss", "comiss+"])
def test_co_learning_equals_its_formula(make, labelled, name):
    features = {"contrastive": "none", "discriminated": "none"}
    method, slow = make(name, features if name != "comiss+" else {})
    keep = _drawn(len(labelled[1]))
    expected = slow.ce(torch.ones_like(keep))
    if name != "comiss":
        expected += slow.individual_ce() + slow.individual_kl()
    if name == "comiss":
        expected += slow.ce(keep) + slow.kl(keep)
    _close(_losses(method, labelled)["total"], expected)


def test_mdico_equals_its_formula(make, labelled):
    method, slow = make("mdico", {"negatives": "all", "fusion": "logits"})
    batch, _ = labelled
    losses = _losses(method, labelled)
    _close(losses["main"], slow.individual_ce())
    with torch.no_grad():
        outputs = method.outputs(batch)
        modality, auxiliary = [], []
        for n in slow._seen():
            own, classified = [], []
            for m in slow._of(n):
                found, row = outputs.features[m], int(batch.available[:n, m].sum())
                heads = (method.discriminator(found.specific), method.second_discriminator(found.unused))
                own += [-torch.log_softmax(head[row], 0)[m].item() for head in heads]
                for part in (found.specific, found.shared):
                    log_p = torch.log_softmax(method.auxiliary(part[row]), 0)
                    classified.append(-log_p[slow.y[n]].item())
            modality.append(np.mean(own))
            auxiliary.append((slow.weight[slow.y[n]], np.mean(classified)))
    _close(losses["modality"], np.mean(modality))
    weights, values = np.array(auxiliary).T
    _close(losses["auxiliary"], weights @ values / weights.sum())
    _close(losses["total"], sum(losses[k] for k in ("main", "modality", "auxiliary", "contrastive")))


def test_mdico_as_released_sums_over_ordered_pairs_and_reads_the_shared_half(make, labelled):
    method, _ = make("mdico")
    literal, _ = make("mdico", {"contrastive": "sum", "discriminated": "specific+shared"})
    one, two = _losses(method, labelled), _losses(literal, labelled)
    _close(two["contrastive"], 12 * one["contrastive"])
    batch, y = labelled
    literal.zero_grad()
    literal.loss(batch, y, torch.Generator())["total"].backward()
    half = literal.branches["radar"].features.split
    gradient = literal.branches["radar"].features.own.dense[-1].weight.grad
    assert gradient[:half].any() and not gradient[half:].any()  # the published defect


def _of_vectors(vectors, options=None):
    """A method with ten classes, and the stored tensors as its outputs."""
    bands = {"optical": ("B2",), "radar": ("VV",), "weather": ("temperature_2m",), "topography": ("slope",)}
    spec = Spec(bands, 12, 10, dict.fromkeys(bands, 1))
    method = new_method("comiss", spec, {"preset": "small", "discriminated": "none", **(options or {})})
    method.class_weight = vectors["class_weight"]
    logits = vectors["logits"].transpose(0, 1)
    available = torch.ones(logits.shape[:2], dtype=torch.bool)
    views = [View(z, available[:, 0], None) for z in vectors["z_shared"]]
    return method, Outputs(available, logits, mean_of_kept(logits, available), [], views)


def test_fused_predictions_equal_the_reference(vectors):
    _, outputs = _of_vectors(vectors)
    some = torch.tensor([True, False, True, False]).expand_as(outputs.available)
    assert (outputs.full - vectors["full"]).abs().max() < 1e-9
    assert (mean_of_kept(outputs.logits, some) - vectors["missing_02"]).abs().max() < 1e-9


@pytest.mark.parametrize(("key", "temperature"), [("T05", 0.5), ("T1", 1.0), ("T2", 2.0)])
def test_the_terms_of_fullco_equal_the_reference(vectors, key, temperature):
    method, outputs = _of_vectors(vectors, {"temperature": temperature})
    terms = method.individual_terms(outputs, vectors["target"])
    assert abs(terms["individual_ce"] - vectors["ce_individual"].mean()) < 1e-6
    assert abs(terms["individual_kl"] - vectors[f"kl_{key}_individual"].mean()) < 1e-6
    assert abs(method.predictive_loss(outputs.full, vectors["target"]) - vectors["ce_full"]) < 1e-6


def test_the_terms_of_comiss_equal_the_reference(vectors):
    method, outputs = _of_vectors(vectors)
    keep = torch.tensor([True, False, True, False]).expand_as(outputs.available)
    terms = method.missing_terms(outputs, vectors["target"], keep)
    assert abs(terms["missing_ce"] - vectors["ce_missing"]) < 1e-6
    assert abs(terms["missing_kl"] - vectors["kl_T05_missing"]) < 1e-6


@pytest.mark.parametrize(("reduction", "divisor"), [("sum", 1), ("mean", 12), ("per-modality", 4)])
def test_the_contrastive_term_equals_the_reference(vectors, reduction, divisor):
    method, outputs = _of_vectors(vectors, {"contrastive": reduction})
    found = method.feature_losses(outputs, vectors["target"])["contrastive"]
    assert abs(found - vectors["ntxent_t01"].sum() / divisor) < 1e-6
