"""From a teacher to its student: a compact network learns what a full one says, whatever is missing.

N pixels, M modalities, K classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import torch
from pydantic import JsonValue
from torch import Tensor

from geocomiss.batch import Batch, Spec
from geocomiss.engine import precision_of, prepared
from geocomiss.methods import Losses, Method, is_student, new_method, of_teacher
from geocomiss.methods.base import with_total
from geocomiss.methods.fusion import random_subset
from geocomiss.methods.gaps import drop_steps
from geocomiss.methods.late import LateFusion
from geocomiss.methods.losses import distillation
from geocomiss.training.loop import Labelled, Progress, Run, Settings, fit

REPEATED: Final = 0.5
"""Share of the pixels of a batch that are shown a second time, with time steps missing."""
CUT: Final = 0.5
"""Share of these of which only the start of the season is shown; the others have gaps."""

TEMPERATURE: Final = 1.0
"""T of the distillation."""
AT_ONCE: Final = 4096
"""Pixels at once where student and teacher are compared to decide when to stop: bounds the memory."""


@dataclass(frozen=True)
class Learnt:
    """A method, and who taught it."""

    method: Method
    """With its best weights, in evaluation mode."""
    epochs: int
    """Epoch of these."""
    teacher: "Learnt | None" = None
    """Who taught it; None where it learnt from labels by itself."""


@dataclass(frozen=True)
class Teaching:
    """What a student learns: T^2 KL(teacher || student) of what each says of the same pixels.

    L = mean over m of KL(l_m) + KL(l_full) + KL(l_S), S a random subset of the modalities a pixel.

    l_m is what modality m says by itself, and both predict by fusing these: a student that agrees in
    each l_m agrees for every pattern of modalities. Some pixels of each batch are shown a second time
    with random steps, or all after some month, missing, to the teacher as well. The student learns
    from no label: those that the teacher learnt from say little on top (see examples/results/README.md).
    """

    teacher: LateFusion
    """In evaluation mode, on the device of the student; it never changes."""
    temperature: float | None
    """T; None where values are compared."""

    def loss(self, method: Method, batch: Batch, y: Tensor, generator: torch.Generator) -> Losses:
        """The terms of a batch, with random steps and modalities missing."""
        number = len(batch)
        again = round(REPEATED * number)
        both = batch[torch.arange(number + again, device=batch.kept.device) % number]
        shown = drop_steps(both, torch.arange(number + again) >= number, CUT, generator)
        return self._terms(method, shown, random_subset(shown.available, "sample", generator))

    def monitored(self, method: Method, batch: Batch, y: Tensor) -> Tensor:
        """The same of whole pixels, with the same random modalities missing each time."""
        generator = torch.Generator().manual_seed(0)
        total = torch.zeros((), device=batch.kept.device)
        for start in range(0, len(batch), AT_ONCE):
            part = batch[start : start + AT_ONCE]
            terms = self._terms(method, part, random_subset(part.available, "sample", generator))
            total = total + terms["total"] * (len(part) / len(batch))
        return total

    def _terms(self, method: Method, batch: Batch, keep: Tensor) -> Losses:
        student, available = fusing(method), batch.available
        each = student.encode(batch)  # (N, M, K)
        with torch.no_grad():
            taught = self.teacher.encode(batch)
        terms = {"each": self._each(each, taught, available)}
        for name, subset in (("full", available), ("subset", keep)):
            one, other = student.fuse(each, subset), self.teacher.fuse(taught, subset)
            terms[name] = distillation(one, other, self.temperature, subset.any(1))
        return with_total(terms)

    def _each(self, student: Tensor, teacher: Tensor, available: Tensor) -> Tensor:
        """The mean over the modalities that pixels have of what (N, M, K) differ."""
        have = available.flatten()
        return distillation(student.flatten(0, 1), teacher.flatten(0, 1), self.temperature, have)


def learn(
    name: str, options: Mapping[str, JsonValue], spec: Spec, train: Labelled, validation: Labelled,
    settings: Settings, progress: Progress | None = None, run: Run = Run(),
) -> Learnt:  # fmt: skip
    """Train a method afresh; a compact one as the student of a full one, which is trained first.

    Args:
        name: Key in `METHODS`.
        options: Its options.
        spec: What it reads.
        train: Samples to learn from.
        validation: Samples that decide when to stop.
        settings: How.
        progress: Told of each epoch.
        run: Name of this run and where its state is kept.

    Raises:
        MethodError: No such method or option, a method that teaches none, or losses that are not finite.
        CheckpointError: The state cannot be read or written.
    """
    teacher = None
    if is_student(options):
        first = replace(run, name=f"teacher of the {run.name}")
        teacher = learn(name, of_teacher(options), spec, train, validation, settings, progress, first)
        run = replace(run, objective=teaching(teacher.method, settings))
        settings = patient(settings)
    method, epochs = fit(lambda: new_method(name, spec, options), train, validation, settings, progress, run)
    return Learnt(method, epochs, teacher)


def teaching(teacher: Method, settings: Settings) -> Teaching:
    """What the student of a trained method learns; values are compared as they are.

    A teacher only predicts, as in a map: with the fastest numbers that the device has.
    """
    fast = prepared(teacher.eval(), precision_of("auto", settings.device, teacher))
    return Teaching(fusing(fast).to(settings.device), teacher.softened(TEMPERATURE))


def patient(settings: Settings) -> Settings:
    """How a student is trained: for longer and in larger steps, which soft targets allow."""
    return replace(
        settings,
        learning_rate=2 * settings.learning_rate,
        patience=2 * settings.patience,
        min_delta=settings.min_delta / 2,
    )


def fusing(method: Method) -> LateFusion:
    """A method whose modalities say something each, as teachers and students have to."""
    if not isinstance(method, LateFusion):
        raise TypeError(f"a {type(method).__name__} can be no teacher and no student")
    return method
