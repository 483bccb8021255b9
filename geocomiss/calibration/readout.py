"""From logits to what is said of a pixel: the class, how probable it is, and how often such pixels are right.

N pixels, M modalities, K classes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import torch
from torch import Tensor

from geocomiss.batch import Batch
from geocomiss.calibration.expected import CODES
from geocomiss.calibration.stored import Calibration, PatternCalibration, bits_of
from geocomiss.calibration.views import codes_of, valid_shares
from geocomiss.modalities import MODALITIES


@dataclass(frozen=True)
class Said:
    """What is said of N pixels."""

    index: Tensor
    """(N,) class index written."""
    confidence: Tensor
    """(N,) probability of that class."""


@dataclass(frozen=True)
class Readout:
    """How the logits of a model are read.

    The class written is the one with the highest logit: class weights of training stay in that choice, so
    that rare classes are found and macro F1 is what was scored. Its confidence is the calibrated
    probability that this class is right; that of another class can be higher. With priors the class is
    the most probable one under them.
    """

    calibration: Calibration | None = None
    """None: the confidence is the softmax of the logits."""
    shares: tuple[float, ...] = ()
    """(K,) class shares that the probabilities refer to; only needed beside priors."""
    priors: tuple[float, ...] | None = None
    """(K,) class shares known to hold where the model is used; None: as in training."""

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides what it says."""
        known = self.calibration.model_dump_json() if self.calibration else ""
        return sha256(f"{known} {self.shares if self.priors else ()} {self.priors}".encode()).hexdigest()

    @property
    def knows_accuracy(self) -> bool:
        """Whether it knows how often classes are right: with calibration, but not with priors.

        Priors change which class is written, and that was never tried on samples.
        """
        return self.calibration is not None and self.priors is None

    def read(self, logits: Tensor, batch: Batch) -> Said:
        """The class of each pixel and its probability.

        Args:
            logits: (N, K).
            batch: The N pixels.
        """
        probability = self.probabilities(logits, codes_of(batch))
        index = logits.argmax(1) if self.priors is None else probability.argmax(1)
        return Said(index, probability.gather(1, index[:, None])[:, 0])

    def probabilities(self, logits: Tensor, codes: Tensor) -> Tensor:
        """Probabilities (N, K), calibrated where that is known, re-weighted where priors are.

        With priors p'_c = p_c (prior_c / share_c), renormalised. Source: Saerens, Latinne and
        Decaestecker 2002, "Adjusting the outputs of a classifier to new a priori probabilities", eq. 4.

        Args:
            logits: (N, K).
            codes: (N,) available modalities as bits.
        """
        if self.calibration is not None:
            inverse, bias = (table.to(logits.device)[codes] for table in self._scalings)
            logits = logits * inverse[:, None] + bias
        if self.priors is not None:
            shift = torch.log(torch.tensor(self.priors)) - torch.log(torch.tensor(self.shares))
            logits = logits + shift.to(logits)
        return torch.softmax(logits, 1)

    def expected_accuracy(self, index: Tensor, batch: Batch) -> Tensor | None:
        """Probability (N,) that a class is right where it is written, given what the pixel has.

        None where it is not known, see `knows_accuracy`.

        Args:
            index: (N,) class indices written.
            batch: The N pixels.
        """
        if not self.knows_accuracy:
            return None
        right, lost = (table.to(index.device) for table in self._accuracies)
        codes, steps = codes_of(batch), valid_shares(batch)
        odds = right[codes, index].double()  # so that a float's last bit has no part in it
        for column, name in enumerate(batch.modalities):  # one by one: no reduction reorders the sum
            share = torch.where(steps[:, column] > 0, steps[:, column], 1.0).double()
            odds = odds + lost[codes, list(MODALITIES).index(name)] * (share - 1)
        return torch.sigmoid(odds).float()

    @cached_property
    def _scalings(self) -> tuple[Tensor, Tensor]:
        """1 / T (CODES,) and biases (CODES, K); no change where nothing is available."""
        classes = len(self.calibration.shares) if self.calibration else 0
        inverse, bias = torch.ones(CODES), torch.zeros(CODES, classes)
        for code, each in _patterns(self.calibration):
            inverse[code], bias[code] = 1 / each.temperature, torch.tensor(each.bias)
        return inverse, bias

    @cached_property
    def _accuracies(self) -> tuple[Tensor, Tensor]:
        """Log-odds (CODES, K) and what valid steps do (CODES, all modalities)."""
        classes = len(self.calibration.shares) if self.calibration else 0
        right, steps = torch.zeros(CODES, classes), torch.zeros(CODES, len(MODALITIES))
        for code, each in _patterns(self.calibration):
            right[code] = torch.tensor(each.right)
            steps[code] = torch.tensor([each.steps.get(name, 0.0) for name in MODALITIES])
        return right, steps


def _patterns(calibration: Calibration | None) -> Iterator[tuple[int, PatternCalibration]]:
    """Patterns by the bits of their modalities."""
    for key, each in calibration.patterns.items() if calibration else ():
        yield bits_of(key), each
