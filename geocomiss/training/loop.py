"""The plain training loop: Adam, early stopping, best weights restored.

N samples, K classes.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from geocomiss.batch import Batch
from geocomiss.errors import MethodError
from geocomiss.methods import Losses, Method


@dataclass(frozen=True)
class Settings:
    """How a method is trained, whatever the method."""

    epochs: int = 100
    """Most passes over the samples; early stopping ends sooner."""
    batch_size: int = 128
    """Samples a step."""
    learning_rate: float = 1e-3
    """Of Adam, constant."""
    patience: int = 5
    """Epochs without improvement after which training ends."""
    min_delta: float = 0.01
    """Smallest fall of the monitored loss that counts as improvement (the weights kept are the best
    anyway). Patience and this are the published ones."""
    seed: int = 0
    """Seed of weights, order and drop-out."""
    device: torch.device | str = "cpu"
    """Where to compute."""


@dataclass(frozen=True)
class Epoch:
    """What one pass over the samples brought."""

    run: str
    """Which of the runs of a training this is."""
    number: int
    """Counts from 1."""
    of: int
    """Most epochs."""
    losses: dict[str, float]
    """Mean of each loss term over the epoch."""
    validation: float
    """The monitored loss on the inner validation part."""
    best: bool
    """Whether that is the best so far."""


Progress = Callable[[Epoch], None]


@dataclass(frozen=True)
class Labelled:
    """Pixels with their classes."""

    batch: Batch
    """N pixels."""
    y: Tensor
    """(N,) class index 0..K-1."""

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, chosen: Tensor) -> "Labelled":
        return Labelled(self.batch[chosen], self.y[chosen])

    def to(self, device: torch.device | str) -> "Labelled":
        """The same on another device."""
        return Labelled(self.batch.to(device), self.y.to(device))


def fit(
    make: Callable[[], Method], train: Labelled, validation: Labelled, settings: Settings,
    progress: Progress | None = None, run: str = "model",
) -> tuple[Method, int]:  # fmt: skip
    """Train a fresh method; on a CPU the same seed gives the same bits.

    Args:
        make: Makes the method; called after seeding.
        train: Samples to learn from; normalisation and class weights come from them alone.
        validation: Samples that decide when to stop.
        settings: How.
        progress: Told of each epoch.
        run: Name of this run, for `progress`.

    Returns:
        The method with its best weights, in evaluation mode on the CPU, and the epoch they are of.

    Raises:
        MethodError: The losses are not finite.
    """
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        method = make()
        method.fit_normalisation(train.batch)
        method.fit_class_weights(train.y)
        method.to(settings.device)
        best = _Best(settings)
        optimiser = torch.optim.Adam(method.parameter_groups(settings.learning_rate))
        generator = torch.Generator().manual_seed(settings.seed)
        train, validation = train.to(settings.device), validation.to(settings.device)
        for number in range(1, settings.epochs + 1):
            losses = _one_epoch(method, train, optimiser, settings.batch_size, generator)
            value = _monitored(method, validation)
            improved = best.update(method, number, value)
            if progress:
                progress(Epoch(run, number, settings.epochs, losses, value, improved))
            if best.exhausted(number):
                break
        method.load_state_dict(best.weights)
    return method.cpu().eval(), best.epoch


class _Best:
    """The weights with the lowest monitored loss so far."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.value, self.epoch = float("inf"), 0
        self.mark, self.marked = float("inf"), 0  # last fall by more than min_delta
        self.weights: dict[str, Tensor] = {}

    def update(self, method: Method, epoch: int, value: float) -> bool:
        if value < self.mark - self.settings.min_delta:
            self.mark, self.marked = value, epoch
        if not value < self.value:
            return False
        self.value, self.epoch = value, epoch
        self.weights = copy.deepcopy(method.state_dict())
        return True

    def exhausted(self, epoch: int) -> bool:
        return epoch - self.marked >= self.settings.patience


def _one_epoch(
    method: Method, train: Labelled, optimiser: torch.optim.Optimizer, size: int, generator: torch.Generator
) -> dict[str, float]:
    method.train()
    sums: dict[str, float] = {}
    for chosen in _batches(len(train), size, generator):
        part = train[chosen.to(train.y.device)]
        losses = method.loss(part.batch, part.y, generator)
        _check_finite(losses)
        optimiser.zero_grad(set_to_none=True)
        losses["total"].backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        optimiser.step()
        for name, loss in losses.items():
            sums[name] = sums.get(name, 0.0) + loss.item() * len(part)
    return {name: total / len(train) for name, total in sums.items()}


def _batches(number: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    yield from torch.split(torch.randperm(number, generator=generator), size)


def _monitored(method: Method, validation: Labelled) -> float:
    method.eval()
    with torch.no_grad():
        return float(method.monitored(validation.batch, validation.y))


def _check_finite(losses: Losses) -> None:
    if not torch.isfinite(losses["total"]):
        raise MethodError(
            "the training loss is no longer finite",
            expected="losses that fall",
            todo="lower the learning rate, or look at the table with `geocomiss info`",
        )
