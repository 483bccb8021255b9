import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from geocomiss.methods.features import View, contrastive_losses, identical_rows
from geocomiss.methods.losses import (
    balanced_weights,
    distillation,
    distillation_each,
    mutual_distillation,
    nt_xent,
    weighted_ce,
    weighted_ce_each,
)


def test_weighted_cross_entropy_equals_the_reference(vectors):
    y, weight = vectors["target"], vectors["class_weight"]
    assert abs(weighted_ce(vectors["full"], y, weight) - vectors["ce_full"]) < 1e-6
    assert abs(weighted_ce(vectors["missing_02"], y, weight) - vectors["ce_missing"]) < 1e-6
    for logits, expected in zip(vectors["logits"], vectors["ce_individual"], strict=True):
        assert abs(weighted_ce(logits, y, weight) - expected) < 1e-6
    each = vectors["logits"].transpose(0, 1)
    mean = weighted_ce_each(each, y, weight, torch.ones(each.shape[:2], dtype=torch.bool))
    assert abs(mean - vectors["ce_individual"].mean()) < 1e-6


@pytest.mark.parametrize(("key", "temperature"), [("T05", 0.5), ("T1", 1.0), ("T2", 2.0)])
def test_distillation_equals_the_reference(vectors, key, temperature):
    expected = vectors[f"kl_{key}_individual"]
    for logits, value in zip(vectors["logits"], expected, strict=True):
        assert abs(distillation(logits, vectors["full"], temperature) - value) < 1e-6
    each = vectors["logits"].transpose(0, 1)
    everything = torch.ones(each.shape[:2], dtype=torch.bool)
    mean = distillation_each(each, vectors["full"], temperature, everything)
    assert abs(mean - expected.mean()) < 1e-6


def test_distillation_to_a_subset_equals_the_reference(vectors):
    found = distillation(vectors["missing_02"], vectors["full"], 0.5)
    assert abs(found - vectors["kl_T05_missing"]) < 1e-6


def test_contrastive_loss_equals_the_reference_for_every_pair(vectors):
    z, expected = vectors["z_shared"], vectors["ntxent_t01"]
    for i in range(4):
        for j in range(4):
            if i != j:
                assert abs(nt_xent(z[i], z[j], 0.1) - expected[i, j]) < 1e-6


def slow_nt_xent(one, other, temperature, same):
    """The sum of the formula, anchor by anchor."""
    q = torch.nn.functional.normalize(torch.cat([one, other]), dim=1)
    n, total = len(one), 0.0
    for a in range(2 * n):
        positive = (a + n) % (2 * n)
        others = [
            k for k in range(2 * n) if k != a and (k == positive or not same[a % n, k % n] or k % n == a % n)
        ]
        denominator = sum(torch.exp(q[a] @ q[k] / temperature) for k in others)
        total -= torch.log(torch.exp(q[a] @ q[positive] / temperature) / denominator)
    return total / (2 * n)


@given(st.integers(0, 10_000), st.integers(2, 6))
def test_contrastive_loss_skips_negatives_with_identical_input(seed, number):
    generator = torch.Generator().manual_seed(seed)
    one, other = torch.randn(2, number, 5, generator=generator, dtype=torch.float64)
    kind = torch.randint(0, 3, (number,), generator=generator)
    same = kind[:, None] == kind[None]
    assert torch.isclose(nt_xent(one, other, 0.3, same), slow_nt_xent(one, other, 0.3, same))


def test_rows_are_identical_only_when_every_value_is():
    x = torch.tensor([[1.0, float("nan")], [1.0, float("nan")], [1.0, 2.0]])[:, None]
    expected = [[True, True, False], [True, True, False], [False, False, True]]
    assert identical_rows(x).tolist() == expected


def test_pairs_use_only_pixels_that_have_both_modalities():
    torch.manual_seed(0)
    z = torch.randn(3, 6, 4)
    has = torch.tensor([[1, 1, 1, 1, 0, 0], [0, 1, 1, 1, 1, 1], [1, 0, 0, 0, 0, 0]]).bool()
    views = [View(part, available, None) for part, available in zip(z, has, strict=True)]
    found = contrastive_losses(views, 0.1)
    assert len(found) == 2  # second and third have no pixel in common
    both = has[0] & has[1]
    assert torch.equal(found[0], nt_xent(z[0][both], z[1][both], 0.1))


def test_mutual_distillation_is_the_mean_over_ordered_pairs():
    torch.manual_seed(0)
    logits = torch.randn(5, 3, 4)
    found = mutual_distillation(logits, 0.5, torch.ones(5, 3, dtype=torch.bool))
    pairs = [(i, j) for i in range(3) for j in range(3) if i != j]
    slow = sum(distillation(logits[:, j], logits[:, i], 0.5) for i, j in pairs) / 6
    assert torch.isclose(found, slow)


@given(st.lists(st.integers(0, 4), min_size=2, max_size=40))
def test_class_weights_equal_scikit_learn(labels):
    present = sorted(set(labels))
    expected = compute_class_weight("balanced", classes=np.array(present), y=np.array(labels))
    weights = balanced_weights(torch.tensor(labels), 5)
    assert torch.allclose(weights[present], torch.tensor(expected, dtype=torch.float32))
    assert not weights[[k for k in range(5) if k not in present]].any()


def test_a_loss_over_no_pixels_is_zero_and_has_a_gradient():
    logits = torch.randn(4, 3, requires_grad=True)
    loss = weighted_ce(logits, torch.zeros(4, dtype=torch.long), torch.ones(3), torch.zeros(4).bool())
    loss.backward()
    assert loss == 0 and not logits.grad.any()
