"""The plain training loop: Adam, early stopping, best weights restored.

N samples, K classes.
"""

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from geocomiss.batch import Batch
from geocomiss.errors import MethodError
from geocomiss.methods import Method
from geocomiss.training.objective import Objective, Own
from geocomiss.training.state import Epoch, State, Unfinished


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


Progress = Callable[[Epoch], None]


@dataclass(frozen=True)
class Run:
    """One run of a training."""

    name: str = "model"
    """What it is for."""
    unfinished: Unfinished | None = None
    """Where its state is kept, so that it can go on after an interruption."""
    afresh: bool = True
    """Whether normalisation is taken from the samples; else the method brings it from a trained model."""
    objective: Objective = field(default_factory=Own)
    """What the method learns from; by default what it brings with it."""


@dataclass(frozen=True)
class Labelled:
    """Pixels with their classes, or with the value of a target."""

    batch: Batch
    """N pixels."""
    y: Tensor
    """(N,) class index 0..K-1 (int64), or value in the target's unit (float32)."""

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, chosen: Tensor) -> "Labelled":
        return Labelled(self.batch[chosen], self.y[chosen])

    def to(self, device: torch.device | str) -> "Labelled":
        """The same on another device."""
        return Labelled(self.batch.to(device), self.y.to(device))


def fit(
    make: Callable[[], Method], train: Labelled, validation: Labelled, settings: Settings,
    progress: Progress | None = None, run: Run = Run(),
) -> tuple[Method, int]:  # fmt: skip
    """Train a fresh method; on a CPU the same seed gives the same bits, also after an interruption.

    Args:
        make: Makes the method; called after seeding.
        train: Samples to learn from; normalisation and class weights come from them alone.
        validation: Samples that decide when to stop.
        settings: How.
        progress: Told of each epoch, also of those before an interruption.
        run: Name of this run, for `progress`, and where its state is kept.

    Returns:
        The method with its best weights, in evaluation mode on the CPU, and the epoch they are of.

    Raises:
        MethodError: The losses are not finite.
        CheckpointError: The state cannot be read or written.
    """
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        method = make()
        if run.afresh:
            method.fit_normalisation(train.batch)
        if run.afresh or method.spec.task == "classes":
            method.fit_labels(train.y)
        learner = _Learner(method.to(settings.device), settings, run)
        tell = progress or (lambda _: None)
        for epoch in learner.resume():
            tell(epoch)
        train, validation = train.to(settings.device), validation.to(settings.device)
        while not learner.finished:
            tell(learner.learn(train, validation))
        method.load_state_dict(learner.best.weights)
    return method.cpu().eval(), learner.best.epoch


def precision(device: torch.device | str) -> AbstractContextManager[object]:
    """The number format of a training step: bfloat16 where that is fast and safe, on CUDA devices.

    Never on a CPU: training in bfloat16 was 7 times slower there.
    """
    if torch.device(device).type == "cuda":
        return torch.autocast("cuda", torch.bfloat16)
    return nullcontext()


class _Learner:
    """A method in training: its weights, the best so far, Adam, and the randomness."""

    def __init__(self, method: Method, settings: Settings, run: Run) -> None:
        self.method, self.settings, self.run = method, settings, run
        self.optimiser = torch.optim.Adam(method.parameter_groups(settings.learning_rate))
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.mean = _running_mean(method)
        self.best = _Best(settings)
        self.history: tuple[Epoch, ...] = ()

    @property
    def finished(self) -> bool:
        done = len(self.history)
        return done >= self.settings.epochs or (done > 0 and self.best.exhausted(done))

    @property
    def judged(self) -> Method:
        """The method as it would predict now: with the mean of the weights, where that is wanted."""
        return cast(Method, self.mean.module) if self.mean else self.method

    def learn(self, train: Labelled, validation: Labelled) -> Epoch:
        """One epoch, after which the state is kept."""
        losses = self._pass(train)
        value = self._monitored(validation)
        _check_finite(losses["total"], value)
        number = len(self.history) + 1
        improved = self.best.update(self.judged, number, value)
        epoch = Epoch(self.run.name, number, self.settings.epochs, losses, value, improved)
        self.history = (*self.history, epoch)
        if self.run.unfinished:
            self.run.unfinished.write(self.run.name, self._state())
        return epoch

    def resume(self) -> tuple[Epoch, ...]:
        """Go on from the state that was kept, if any: the epochs that need not be repeated."""
        state = self.run.unfinished and self.run.unfinished.read(self.run.name)
        if state:
            self._restore(state)
        return self.history

    def _pass(self, train: Labelled) -> dict[str, float]:
        """Learn from all samples once: the mean of each loss term.

        The terms are summed where they are computed and read once, so that a GPU never waits.
        """
        self.method.train()
        sums: dict[str, Tensor] = {}
        for chosen in _batches(len(train), self.settings.batch_size, self.generator):
            part = train[chosen.to(train.y.device)]
            with precision(self.settings.device):
                losses = self.run.objective.loss(self.method, part.batch, part.y, self.generator)
            self.optimiser.zero_grad(set_to_none=True)
            losses["total"].backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            self.optimiser.step()
            if self.mean:
                self.mean.update_parameters(self.method)
            for name, loss in losses.items():
                share = loss.detach() * (len(part) / len(train))
                sums[name] = sums[name] + share if name in sums else share
        return dict(zip(sums, torch.stack([*sums.values()]).tolist(), strict=True))

    def _monitored(self, validation: Labelled) -> float:
        method = self.judged.eval()
        with torch.no_grad():
            return float(self.run.objective.monitored(method, validation.batch, validation.y))

    def _state(self) -> State:
        weights = self.method.state_dict()
        tensors = {f"weights.{name}": tensor for name, tensor in weights.items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.weights.items()}
        if self.mean:
            tensors |= {f"mean.{name}": tensor for name, tensor in self.mean.state_dict().items()}
        for place, moments in self.optimiser.state_dict()["state"].items():
            tensors |= {f"adam.{place}.{name}": tensor for name, tensor in moments.items()}
        tensors |= {f"random.{name}": state for name, state in self._random().items()}
        on_cpu = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
        return State(on_cpu, self.best.value, self.best.epoch, self.best.mark, self.best.marked, self.history)

    def _random(self) -> dict[str, Tensor]:
        states = {"own": self.generator.get_state(), "cpu": torch.get_rng_state()}
        if torch.device(self.settings.device).type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.settings.device)
        return states

    def _restore(self, state: State) -> None:
        kept = {part: state.part(part) for part in ("weights", "mean", "best", "adam", "random")}
        self.method.load_state_dict(kept["weights"])
        if self.mean:
            self.mean.load_state_dict(kept["mean"])
        moments: dict[int, dict[str, Tensor]] = {}
        for key, tensor in kept["adam"].items():
            place, _, name = key.partition(".")
            moments.setdefault(int(place), {})[name] = tensor
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": moments})
        self.best.weights, self.history = kept["best"], state.history
        self.best.value, self.best.epoch = state.value, state.epoch
        self.best.mark, self.best.marked = state.mark, state.marked
        self.generator.set_state(kept["random"]["own"])
        torch.set_rng_state(kept["random"]["cpu"])
        if "cuda" in kept["random"]:
            torch.cuda.set_rng_state(kept["random"]["cuda"], self.settings.device)


def _running_mean(method: Method) -> AveragedModel | None:
    """A second set of weights that follows the first, if the method wants one."""
    decay = method.shared_options.average
    if not decay:
        return None

    def follow(mean: Tensor, now: Tensor, _: Tensor | int) -> Tensor:
        # not the number handed over: it is on the device, and reading it would wait for a GPU each time
        return _followed(decay, mean, now, int(running.n_averaged))

    running = AveragedModel(method, avg_fn=follow, use_buffers=True)
    return running


def _followed(decay: float, mean: Tensor, now: Tensor, steps: int) -> Tensor:
    """The running mean after one more step.

    The first steps count for less: with few batches an epoch a mean that remembers them would be judged
    before it has left them behind, and training would stop.
    """
    if not now.is_floating_point():
        return now
    return torch.lerp(now, mean, min(decay, (1 + steps) / (10 + steps)))


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


def _batches(number: int, size: int, generator: torch.Generator) -> Iterator[Tensor]:
    yield from torch.split(torch.randperm(number, generator=generator), size)


def _check_finite(*losses: float) -> None:
    if not all(map(math.isfinite, losses)):
        raise MethodError(
            "the training loss is no longer finite",
            expected="losses that fall",
            todo="lower the learning rate, or look at the table with `geocomiss info`",
        )
