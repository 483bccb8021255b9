"""Natural gaps: which steps real clouds and orbits left, transplanted from other samples.

A donor's dekads are grouped to months: a month is seen where its middle dekad was, as by a sensor that
passes less often (where any of three dekads were enough, hardly a gap would be left). Donors and samples
are aligned by calendar month where both tell theirs, else by place in the season.

N samples, T steps, D donors.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from geocomiss.batch import Batch, Bools
from geocomiss.benchmarking.conditions.base import Case, Condition
from geocomiss.benchmarking.conditions.draws import Draws
from geocomiss.errors import SampleError
from geocomiss.modalities import IMAGING
from geocomiss.samples import Samples
from geocomiss.samples.tensors import batch_of_samples, spec_of

COUNTED: Final = "optical"
"""The modality whose valid steps are counted; the donor's other imaging modalities come along."""
TWELFTHS: Final = (2, 4, 6, 8, 10, 12)
"""Upper ends of the bins of valid steps, of 12 steps; scaled to other numbers. The lowest is fewer
than a model needs to use the modality."""
MOST_DONORS: Final = 1000
"""Donors taken at most, spread evenly from the cloudiest to the clearest."""
FITTING: Final = 0.5
"""Share of the samples that donors must bring into a bin, or the bin is left out."""
SEVERAL: Final = 5
"""Donors that must do so for each of these samples, so that no single donor makes a score."""
PART: Final = 4096
"""Samples compared with all donors at once, to bound memory."""

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Bin:
    """Valid optical steps, from `low` to `high`, both included."""

    low: int
    """Fewest."""
    high: int
    """Most."""

    def __str__(self) -> str:
        """Name of the condition: 'gaps:3-4'."""
        return f"gaps:{self.low}" if self.low == self.high else f"gaps:{self.low}-{self.high}"


@dataclass(frozen=True)
class Donors:
    """What D real samples saw of their seasons."""

    name: str
    """The table they come from."""
    sha256: str
    """Digest of what was valid in it, and when."""
    by_month: Mapping[str, Bools]
    """Per modality (D, 12): whether the donor's latest January, ... was seen."""
    covered: Bools
    """(D, 12) months that the donor's season holds; none where it does not tell them."""
    by_place: Mapping[str, Bools]
    """Per modality (D, T): the donor's season stretched to the T steps of the table."""

    def seen(self, modality: str, donor: Ints, months: Ints) -> Bools:
        """What donors (N,) saw at the steps of samples with months (N, T): (N, T)."""
        by_month = self.by_month[modality][donor[:, None], months - 1]
        aligned = np.take_along_axis(self._fits(months), donor[:, None], 1)  # (N, 1)
        return np.where(aligned, by_month, self.by_place[modality][donor])

    def counts(self, own: Bools, months: Ints) -> Ints:
        """Valid steps left of samples that have their own (N, T), by donor: (N, D)."""
        here = own[:, :, None] & _one_hot(months)  # (N, T, 12)
        by_month = here.sum(1) @ self.by_month[COUNTED].T.astype(np.int64)
        by_place = own.astype(np.int64) @ self.by_place[COUNTED].T.astype(np.int64)
        return np.where(self._fits(months), by_month, by_place)

    def _fits(self, months: Ints) -> Bools:
        """Where sample and donor can be aligned by month: (N, D)."""
        lacking = _one_hot(months).any(1).astype(np.int64) @ (~self.covered).T.astype(np.int64)
        return np.asarray((lacking == 0) & (months > 0).all(1, keepdims=True))


def bins_of(steps: int) -> tuple[Bin, ...]:
    """The bins of valid steps of T steps: 0-2, 3-4, 5-6, 7-8, 9-10 and 11-12 of 12."""
    tops = sorted({steps * top // TWELFTHS[-1] for top in TWELFTHS})
    lows = [0, *(top + 1 for top in tops[:-1])]
    return tuple(Bin(low, high) for low, high in zip(lows, tops, strict=True))


def donors_of(samples: Samples, steps: int) -> Donors:
    """The donors of a table.

    Args:
        samples: Any table of samples with optical series; its labels do not matter.
        steps: T of the table that receives the gaps.

    Raises:
        SampleError: It has no optical series.
    """
    if COUNTED not in samples.values:
        raise SampleError(
            f"{samples.name} has no {COUNTED} series",
            expected="a table with real gaps to transplant",
            todo="give another table with --gaps",
        )
    batch = batch_of_samples(samples, spec_of(samples, 1))
    valid = {name: np.asarray(batch.valid[name].numpy()) for name in samples.bands if name in IMAGING}
    order = valid[COUNTED].sum(1).argsort(kind="stable")
    taken = order[np.unique(np.linspace(0, len(order) - 1, MOST_DONORS).round().astype(int))]
    months = samples.months[taken]
    return Donors(
        samples.name,
        _digest(samples, valid),
        {name: _by_month(seen[taken], months) for name, seen in valid.items()},
        np.asarray(_one_hot(months).any(1)),
        {name: _stretched(seen[taken], steps) for name, seen in valid.items()},
    )


def gap_conditions(
    batch: Batch, months: Ints, lender: Samples, seed: int = 0
) -> tuple[tuple[Condition, ...], tuple[str, ...]]:
    """A condition for each bin into which real gaps bring enough of a table, and what to say of others.

    Args:
        batch: All N samples of the table.
        months: (N, T) their months 1..12, 0 unknown.
        lender: Whose gaps.
        seed: Of the conditions of a benchmark.

    Raises:
        SampleError: The lender has no optical series.
    """
    if COUNTED not in batch.modalities:
        return (), (f"no natural gaps: the table has no {COUNTED} series",)
    donors = donors_of(lender, months.shape[1])
    bins = bins_of(months.shape[1])
    reached = np.zeros(len(bins))
    for part in _parts(len(batch)):
        counts = donors.counts(_own(batch)[part], months[part])
        reached += [((_outside(counts, each) == 0).sum(1) >= SEVERAL).sum() for each in bins]
    shares = dict(zip(bins, reached / max(len(batch), 1), strict=True))
    conditions = (
        Condition(
            str(each), partial(_gapped, months=months, donors=donors, wanted=each, seed=seed), donors.sha256
        )
        for each, share in shares.items()
        if share >= FITTING
    )
    out = [f"{each} ({share:.0%})" for each, share in shares.items() if share < FITTING]
    few = f"left out, gaps of {donors.name} bring too few of the samples there: {', '.join(out)}"
    return tuple(conditions), (few,) if out else ()


def _gapped(case: Case, months: Ints, donors: Donors, wanted: Bin, seed: int) -> Batch:
    return with_gaps(case.test, months[case.rows], donors, wanted, case.rows, seed)


def with_gaps(
    batch: Batch, months: Ints, donors: Donors, wanted: Bin, rows: Ints, seed: int = 0
) -> Batch:  # fmt: skip
    """The same samples with gaps of real ones, so many that the wanted number of steps is left.

    A donor is drawn for each sample among those that leave it that many; where none does, among
    those that come nearest. Steps that a sample itself lacks stay missing.

    Args:
        batch: N samples.
        months: (N, T) their months.
        donors: Whose gaps.
        wanted: Valid optical steps to be left.
        rows: (N,) place of each sample in its table, see `Draws`.
        seed: Of the conditions of a benchmark.
    """
    own, share = _own(batch), Draws(rows, str(wanted), seed).uniform("donor")
    chosen = np.zeros(len(batch), np.int64)
    for part in _parts(len(batch)):
        outside = _outside(donors.counts(own[part], months[part]), wanted)
        candidates = outside == outside.min(1, keepdims=True)
        nth = (share[part] * candidates.sum(1)).astype(np.int64)
        chosen[part] = (candidates.cumsum(1) > nth[:, None]).argmax(1)
    keep = {}
    for name in batch.modalities:
        if name in donors.by_month:
            seen = [donors.seen(name, chosen[part], months[part]) for part in _parts(len(batch))]
            keep[name] = torch.from_numpy(np.concatenate(seen)).to(batch.kept.device)
    return batch.keep_steps(keep)


def _own(batch: Batch) -> Bools:
    """Valid optical steps (N, T) of samples."""
    return np.asarray(batch.valid[COUNTED][batch.rows(COUNTED)].cpu().numpy())


def _digest(samples: Samples, valid: Mapping[str, Bools]) -> str:
    """What the gaps are of: another season or recipe of the same file has others."""
    digest = sha256(",".join(valid).encode())
    for array in (*valid.values(), samples.months):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _parts(number: int) -> Iterator[slice]:
    return (slice(start, start + PART) for start in range(0, max(number, 1), PART))


def _outside(counts: Ints, wanted: Bin) -> Ints:
    """By how many steps counts lie outside a bin."""
    return np.maximum(np.maximum(wanted.low - counts, counts - wanted.high), 0)


def _one_hot(months: Ints) -> Bools:
    """(N, T) months 1..12 to (N, T, 12); an unknown month is none of them."""
    return np.asarray(months[:, :, None] == np.arange(1, 13))


def _by_month(valid: Bools, months: Ints) -> Bools:
    """Whether the latest January, ... was valid: (D, T) to (D, 12)."""
    turns = np.zeros(months.shape, np.int64)
    turns[:, 1:] = (months[:, 1:] != months[:, :-1]).cumsum(1)  # counts the months gone by
    held = _one_hot(months)
    latest = np.where(held, turns[:, :, None], -1).max(1, keepdims=True)
    return _grouped(valid, held & (turns[:, :, None] == latest))


def _stretched(valid: Bools, steps: int) -> Bools:
    """The season of donors in as many steps as a table has: (D, T of the donors) to (D, T)."""
    length = valid.shape[1]
    first = np.arange(steps) * length // steps
    last = np.maximum(-(-(np.arange(steps) + 1) * length // steps), first + 1)
    here = np.arange(length)[:, None]
    return _grouped(valid, ((here >= first) & (here < last))[None])


def _grouped(valid: Bools, member: Bools) -> Bools:
    """Whether the middle step of each group is valid: (D, G).

    Args:
        valid: (D, T).
        member: (D, T, G) bool, the steps of each group.
    """
    middle = member & (member.cumsum(1) == (member.sum(1, keepdims=True) + 1) // 2)
    return np.asarray((middle & valid[:, :, None]).any(1))
