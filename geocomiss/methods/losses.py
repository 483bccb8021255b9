"""The loss terms of co-learning, each a function of tensors.

N pixels, M modalities, K classes (1 for a regression), D features. `rows` says which pixels take
part, so that tables with missing modalities train the same way as complete ones.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def balanced_weights(y: Tensor, classes: int) -> Tensor:
    """Weight per class w_c = n / (K n_c), K the classes that occur; 0 for one that does not: (K,).

    Source: scikit-learn's 'balanced' heuristic, which the reference implementations use.
    """
    counts = torch.bincount(y, minlength=classes).to(torch.float64)
    present = counts > 0
    weights = counts.sum() / (present.sum() * counts.clamp(min=1))
    return torch.where(present, weights, 0.0).to(torch.get_default_dtype())


def weighted_ce(logits: Tensor, y: Tensor, class_weight: Tensor, rows: Tensor | None = None) -> Tensor:
    """Cross-entropy sum_n w_n l_n / sum_n w_n with w_n the weight of the pixel's class.

    Args:
        logits: (N, K).
        y: (N,) class indices.
        class_weight: (K,).
        rows: (N,) bool, the pixels that count; all by default.

    Returns:
        A scalar, 0 where no pixel counts.
    """
    losses = F.cross_entropy(logits, y, reduction="none")  # (N,)
    weights = class_weight.to(logits)[y]
    return mean_over(losses, weights if rows is None else weights * rows)


def weighted_ce_each(logits: Tensor, y: Tensor, class_weight: Tensor, available: Tensor) -> Tensor:
    """Cross-entropy of each modality's own prediction, a mean over the modalities a pixel has.

    Args:
        logits: (N, M, K).
        y: (N,) class indices.
        class_weight: (K,).
        available: (N, M) bool.
    """
    labels = y[:, None].expand(available.shape)
    losses = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none")
    mean = _mean_of_available(losses.view(available.shape), available)  # (N,)
    return mean_over(mean, class_weight.to(logits)[y] * available.any(1))


def squared_error(outputs: Tensor, target: Tensor, rows: Tensor | None = None) -> Tensor:
    """Mean squared error over pixels, the regression's `weighted_ce`.

    Args:
        outputs: (N, 1).
        target: (N,) in the units of the outputs.
        rows: (N,) bool, the pixels that count; all by default.
    """
    losses = (outputs[:, 0] - target).square()  # (N,)
    return mean_over(losses, torch.ones_like(losses) if rows is None else rows.to(losses))


def squared_error_each(outputs: Tensor, target: Tensor, available: Tensor) -> Tensor:
    """Squared error of each modality's own prediction, a mean over the modalities a pixel has.

    Args:
        outputs: (N, M, 1).
        target: (N,) in the units of the outputs.
        available: (N, M) bool.
    """
    mean = _mean_of_available((outputs[:, :, 0] - target[:, None]).square(), available)  # (N,)
    return mean_over(mean, available.any(1).to(mean))


def distillation(
    student: Tensor, teacher: Tensor, temperature: float | None, rows: Tensor | None = None
) -> Tensor:
    """T^2 KL(softmax(teacher / T) || softmax(student / T)), the mean over pixels.

    Of a regression the squared difference of student and teacher, here and below.

    Whether the teacher receives a gradient is the caller's choice (`teacher.detach()`).

    Args:
        student: (N, K) logits.
        teacher: (N, K) logits.
        temperature: T; below 1 sharpens both. None: these are values, not logits.
        rows: (N,) bool, the pixels that count; all by default.
    """
    losses = _divergence(student, teacher, temperature)
    return mean_over(losses, torch.ones_like(losses) if rows is None else rows.to(losses))


def distillation_each(
    student: Tensor, teacher: Tensor, temperature: float | None, available: Tensor
) -> Tensor:
    """`distillation` of each modality's own prediction, a mean over the modalities a pixel has.

    Args:
        student: (N, M, K) logits.
        teacher: (N, K) logits.
        temperature: T, or None.
        available: (N, M) bool.
    """
    losses = _divergence(student, teacher[:, None].expand_as(student), temperature)  # (N, M)
    mean = _mean_of_available(losses, available)
    return mean_over(mean, available.any(1).to(mean))


def mutual_distillation(logits: Tensor, temperature: float | None, available: Tensor) -> Tensor:
    """Deep mutual learning: T^2 KL(sg p_i || p_j) over the ordered pairs i, j that a pixel has.

    Args:
        logits: (N, M, K).
        temperature: T, or None.
        available: (N, M) bool.
    """
    modalities = logits.shape[1]
    teachers = logits.detach()[:, :, None].expand(-1, -1, modalities, -1)  # (N, M, M, K)
    students = logits[:, None].expand(-1, modalities, -1, -1)
    losses = _divergence(students, teachers, temperature)  # (N, M, M)
    pairs = available[:, :, None] & available[:, None] & ~_diagonal(available)
    mean = _mean_of_available(losses.flatten(1), pairs.flatten(1))
    return mean_over(mean, pairs.flatten(1).any(1).to(mean))


def nt_xent(one: Tensor, other: Tensor, temperature: float, same: Tensor | None = None) -> Tensor:
    """Symmetric NT-Xent between two views of the same N pixels.

    -1/(2N) sum_a log( exp(q_a q_p(a) / t) / sum_{k != a} exp(q_a q_k / t) ) over the 2N unit
    vectors q of both views; p(a) is the same pixel in the other view.
    Source: Chen et al. 2020, SimCLR, equation 1.

    Args:
        one: (N, D).
        other: (N, D).
        temperature: t.
        same: (N, N) bool, pixels that are no negatives of each other because their inputs are
            identical; none by default.
    """
    number = len(one)
    q = F.normalize(torch.cat([one, other]), dim=1)
    similarity = q @ q.T / temperature  # (2N, 2N)
    own = torch.eye(number, dtype=torch.bool, device=q.device)
    skipped = torch.zeros_like(own) if same is None else same & ~own
    # an anchor meets itself on the diagonal blocks and its positive on the others
    blocks = [torch.cat([skipped | own, skipped], 1), torch.cat([skipped, skipped | own], 1)]
    similarity = similarity.masked_fill(torch.cat(blocks), -torch.inf)
    positive = torch.arange(2 * number, device=q.device).roll(number)
    return F.cross_entropy(similarity, positive)


def mean_over(losses: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of (N,) losses; 0, with a gradient of 0, where the weights sum to 0."""
    total = weights.sum()
    return (losses * weights).sum() / torch.where(total > 0, total, torch.ones_like(total))


def _diagonal(available: Tensor) -> Tensor:
    return torch.eye(available.shape[1], dtype=torch.bool, device=available.device)


def _divergence(student: Tensor, teacher: Tensor, temperature: float | None) -> Tensor:
    if temperature is None:
        return (student - teacher).square().sum(-1)
    q = F.log_softmax(student / temperature, -1)
    p = F.log_softmax(teacher / temperature, -1)
    return temperature**2 * F.kl_div(q, p, reduction="none", log_target=True).sum(-1)


def _mean_of_available(losses: Tensor, available: Tensor) -> Tensor:
    """Mean over the available columns of (N, M); 0 where there are none."""
    return (losses * available).sum(1) / available.sum(1).clamp(min=1)
