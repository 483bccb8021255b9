"""Data that are there and bad: noise, a dead band, interference, clouds that nobody saw.

The poster's "sensor malfunction" and "spectral noise". Only steps that claim to be valid change, in
canonical units; gaps are then filled from the bad values, as they would be in a real map.

N pixels, T steps, C bands.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from geocomiss.batch import Batch, Bools, Floats, Spec
from geocomiss.benchmarking.conditions.base import Case, Condition
from geocomiss.benchmarking.conditions.draws import Draws
from geocomiss.errors import MethodError
from geocomiss.modalities import MODALITIES, NDVI, NIR, RED
from geocomiss.novelty import Novelty

NOISY: Final = 0.5
"""Share of the optical steps with noise."""
DISTURBED: Final = 0.3
"""Share of the radar steps with interference."""
INTERFERENCE: Final = 10.0
"""Decibels that interference adds to every polarisation."""
WHITE: Final = (4000.0, 8000.0)
"""Reflectance x 10000 of thick cloud, the same in all bands; a number in between for each step."""
OPACITY: Final = (0.5, 1.0)
"""Share of the cloud in the reflectance seen through it; a number in between for each step."""


@dataclass(frozen=True)
class Setting:
    """What corruptions know of a table and of the samples that a contender was trained on."""

    bands: Mapping[str, tuple[str, ...]]
    """Bands per modality."""
    sd: Mapping[str, Floats]
    """Per modality (C,) standard deviation of each band over valid steps of the training part."""
    ndvi: tuple[str, str] = (NIR, RED)
    """The bands (high over vegetation, low) of NDVI, see `composite.ndvi_bands`."""


@dataclass(frozen=True)
class Part:
    """One modality of N pixels, to be changed."""

    x: Floats
    """(N, T, C) in canonical units."""
    valid: Bools
    """(N, T)."""
    modality: str
    """Which it is."""
    setting: Setting
    """What is known of it."""
    draws: Draws
    """Its randomness."""

    @property
    def bands(self) -> tuple[str, ...]:
        """Names of the C bands."""
        return self.setting.bands[self.modality]

    def steps(self, share: float) -> Bools:
        """A random share of the valid steps of each pixel, rounded up or down by chance: (N, T)."""
        order = np.where(self.valid, self.draws.uniform("steps", self.valid.shape[1]), 2.0)
        number = np.floor(share * self.valid.sum(1) + self.draws.uniform("rounding"))
        rank = order.argsort(1).argsort(1)
        return np.asarray((rank < number[:, None]) & self.valid)


Change = Callable[[Part], tuple[Floats, Bools]]
"""New values (N, T, C), of which those at the steps (N, T) are taken."""


@dataclass(frozen=True)
class Corruption:
    """One way in which data go bad."""

    modality: str
    """The modality it concerns; not defined for a table without it."""
    description: str
    """What happens, in words for a table."""
    change: Change
    """Computes it."""


def setting_of(training: Batch, spec: Spec, ndvi: tuple[str, str] = (NIR, RED)) -> Setting:
    """What corruptions need to know, from the training part."""
    sd = {}
    for name in spec.modalities:
        rows = training.x[name][training.valid[name]]  # (R, C), valid steps only
        sd[name] = np.asarray(rows.cpu().numpy().std(0, dtype=np.float64), np.float32) if len(rows) else (
            np.zeros(len(spec.bands[name]), np.float32)
        )  # fmt: skip
    return Setting(spec.bands, sd, ndvi)


def corrupt(kind: str, batch: Batch, rows: NDArray[np.int64], setting: Setting, seed: int = 0) -> Batch:
    """Pixels as a faulty sensor or a missed cloud would have them.

    Args:
        kind: Key in `CORRUPTIONS`.
        batch: N pixels.
        rows: (N,) place of each in the table: a sample is corrupted alike wherever it turns up.
        setting: See `setting_of`.
        seed: Of the conditions of a benchmark.

    Raises:
        MethodError: There is no such corruption, or the batch lacks its modality.
    """
    if kind not in CORRUPTIONS or CORRUPTIONS[kind].modality not in batch.modalities:
        raise MethodError(
            f"the corruption {kind!r} of {', '.join(batch.modalities)}",
            expected=f"one of {', '.join(defined_for(batch.modalities))}",
            todo="choose one of these",
        )
    name = CORRUPTIONS[kind].modality
    own = batch.rows(name)
    x, valid = batch.x[name][own].cpu().numpy(), batch.valid[name][own].cpu().numpy()
    part = Part(x, valid, name, setting, Draws(rows, f"corruption:{kind}", seed))
    changed, where = CORRUPTIONS[kind].change(part)
    x = np.where(where[..., None], _with_ndvi(changed, part, where), x).astype(np.float32)
    return _with_values(batch, name, x, valid)


def corruption_conditions(
    spec: Spec, ndvi: tuple[str, str] = (NIR, RED), seed: int = 0
) -> tuple[Condition, ...]:
    """Every corruption that a table can suffer, without and with a check for novelty.

    Args:
        spec: What the methods read.
        ndvi: The bands of NDVI, see `composite.ndvi_bands`.
        seed: Of the conditions of a benchmark.
    """
    if not (kinds := defined_for(spec.modalities)):
        return ()
    conditions = [Condition("check", _checked)]  # what the check costs where nothing is wrong
    for kind in kinds:
        plain = partial(_corrupted, kind=kind, spec=spec, ndvi=ndvi, seed=seed)
        conditions.append(Condition(f"corruption:{kind}", plain))
        conditions.append(Condition(f"corruption:{kind}+check", partial(_then_checked, plain)))
    return tuple(conditions)


def _corrupted(case: Case, kind: str, spec: Spec, ndvi: tuple[str, str], seed: int) -> Batch:
    return corrupt(kind, case.test, case.rows, setting_of(case.train, spec, ndvi), seed)


def _checked(case: Case) -> Batch:
    return Novelty.fit(case.train).screen(case.test)


def _then_checked(change: Callable[[Case], Batch], case: Case) -> Batch:
    return _checked(replace(case, test=change(case)))


def defined_for(modalities: tuple[str, ...]) -> tuple[str, ...]:
    """The corruptions of tables with these modalities."""
    return tuple(kind for kind, corruption in CORRUPTIONS.items() if corruption.modality in modalities)


def _with_values(batch: Batch, name: str, x: Floats, valid: Bools) -> Batch:
    """The batch with other values (N, T, C) of a modality; what is not valid is filled anew."""
    device = batch.kept.device
    here = torch.from_numpy(valid).to(device)
    changed = replace(
        batch,
        x={**batch.x, name: torch.from_numpy(x).to(device)},
        valid={**batch.valid, name: here},
        index={other: rows for other, rows in batch.index.items() if other != name},
    )
    return changed.keep_steps({name: torch.ones_like(here)})


def _with_ndvi(x: Floats, part: Part, where: Bools) -> Floats:
    """Values whose NDVI comes, at the changed steps (N, T), from the bands that were changed."""
    bands, (high, low) = part.bands, part.setting.ndvi
    if not {NDVI, high, low} <= set(bands):
        return x
    x, over, under = x.copy(), x[where][:, bands.index(high)], x[where][:, bands.index(low)]
    total = over + under
    x[where, bands.index(NDVI)] = np.where(total > 0, (over - under) / np.where(total > 0, total, 1), 0)
    return x


def _noise(part: Part) -> tuple[Floats, Bools]:
    noise = part.draws.normal("noise", *part.x.shape[1:]) * part.setting.sd[part.modality]
    noisy = (part.x + noise).astype(np.float32)
    for column, band in enumerate(part.bands):
        limits = MODALITIES[part.modality].band(band)
        noisy[..., column] = noisy[..., column].clip(limits.low, limits.high)
    return noisy, part.steps(NOISY)


def _dropped_band(part: Part) -> tuple[Floats, Bools]:
    """NDVI is computed and cannot be dropped, unless there is nothing else."""
    measured = [column for column, band in enumerate(part.bands) if band != NDVI] or [0]
    dead = np.array(measured)[(part.draws.uniform("band") * len(measured)).astype(int)]  # (N,)
    x = part.x.copy()
    x[np.arange(len(x)), :, dead] = 0
    return x, part.valid


def _interference(part: Part) -> tuple[Floats, Bools]:
    return part.x + np.float32(INTERFERENCE), part.steps(DISTURBED)


def _cloud(part: Part, share: float) -> tuple[Floats, Bools]:
    steps = part.x.shape[1]
    opacity = _between(OPACITY, part.draws.uniform("opacity", steps, 1))  # (N, T, 1)
    white = _between(WHITE, part.draws.uniform("white", steps, 1))
    mixed = ((1 - opacity) * part.x + opacity * white).astype(np.float32)
    if NDVI in part.bands:  # where its bands are not there: white has an NDVI of 0
        column = part.bands.index(NDVI)
        mixed[..., column] = (1 - opacity[..., 0]) * part.x[..., column]
    return mixed, part.steps(share)


def _between(limits: tuple[float, float], share: NDArray[np.float64]) -> NDArray[np.float64]:
    return limits[0] + (limits[1] - limits[0]) * share


CORRUPTIONS: Final[dict[str, Corruption]] = {
    "noise": Corruption(
        "optical",
        f"Gaussian noise of one standard deviation of each band on {NOISY:.0%} of the steps",
        _noise,
    ),
    "dropped-band": Corruption("optical", "one band reads 0 at all steps", _dropped_band),
    "interference": Corruption(
        "radar", f"+{INTERFERENCE:g} dB in all polarisations on {DISTURBED:.0%} of the steps", _interference
    ),
    **{
        f"cloud-{percent}": Corruption(
            "optical", f"undetected cloud on {percent} % of the steps", partial(_cloud, share=percent / 100)
        )
        for percent in (10, 30, 50)
    },
}
"""All corruptions by name, in the order of a report."""
