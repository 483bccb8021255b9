"""Galileo as a method: missing modalities and missing steps are tokens that are not there.

N pixels, R rows, T steps, C bands, M modalities, L tokens, D features.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Final, Literal

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from geocomiss.batch import Batch, Spec
from geocomiss.errors import MethodError
from geocomiss.methods.base import OPTIONS, MethodOptions
from geocomiss.methods.pretrained import Pretrained, PretrainedOptions, months_of
from geocomiss.nets import CHUNK, in_chunks
from geocomiss.pretrained.galileo import (
    PUBLISHED,
    SIZES,
    SMALLEST,
    GalileoEncoder,
    Projection,
    SizeName,
    read_galileo,
)
from geocomiss.pretrained.inputs import DAYS_OF_MONTH, GALILEO, GALILEO_SCALE, MONTHLY_SUMS
from geocomiss.pretrained.weights import Published, is_path

ROWS: Final = 32
"""Pixels that go through the encoder at once in evaluation mode: more do not fit the processor's cache
and took up to a quarter longer."""
STEP: Final = 4
"""Pixels are computed together with others that have as many tokens, rounded up to this."""


@dataclass(frozen=True, config=OPTIONS)
class GalileoOptions(PretrainedOptions):
    """Choices of Galileo."""

    published: ClassVar[Published] = PUBLISHED
    size: SizeName = "nano"
    """Size of the encoder; published weights state their own."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Numbers that predictions are computed with; 'auto' is bfloat16 on a GPU, else float32."""


class Galileo(Pretrained):
    """Galileo's encoder and a linear head, one pass for whatever a pixel has.

    Inputs are normalised as in its pretraining, with the true month of each step and the monthly sum
    of precipitation. A group of channels of which a band is not in the table is missing.
    Source: Tseng et al. 2025.
    """

    options_type: ClassVar[type[MethodOptions]] = GalileoOptions
    days: Tensor
    """(12,) days of the months."""

    def __init__(self, spec: Spec, options: GalileoOptions) -> None:
        weights = read_galileo(Path(options.weights)) if is_path(options.weights) else None
        if weights:
            options = replace(options, weights=weights.sha256, size=weights.size)
        size = SMALLEST if options.small else SIZES[options.size]
        encoder = GalileoEncoder(size)
        if weights:
            encoder.load_state_dict(dict(weights.tensors))
        groups = _groups_of(spec)
        super().__init__(spec, options, encoder, size.features, encoder.used_by(tuple(groups)))
        self.groups = groups
        self.precision = options.precision
        self.register_buffer("days", torch.tensor(DAYS_OF_MONTH), persistent=False)
        for name in spec.modalities:
            layer = self.normaliser(name)
            scales = [GALILEO_SCALE.get(band, (0.0, 1.0)) for band in spec.bands[name]]
            layer.mean.copy_(torch.tensor([shift for shift, _ in scales]))
            layer.std.copy_(torch.tensor([divisor for _, divisor in scales]))

    def fit_normalisation(self, batch: Batch) -> None:
        """Nothing: the encoder knows its inputs as they were normalised in its pretraining."""

    def encode(self, batch: Batch, keep: Tensor) -> Tensor:
        """All pixels at once."""
        return self._encoded(torch.arange(len(batch), device=keep.device), batch, keep)

    def evaluate(self, batch: Batch, keep: Tensor) -> Tensor:
        """Pixels with equally many tokens together, those with equal inputs once."""
        result = torch.zeros(len(batch), self.features, device=keep.device)
        projections = self._encoder.projections(tuple(self.groups))
        lengths = (self._tokens(batch, keep) + STEP - 1) // STEP * STEP
        half = self.precision == "bfloat16" or (self.precision == "auto" and keep.device.type == "cuda")
        with torch.autocast(keep.device.type, torch.bfloat16, enabled=half):
            for length in torch.unique(lengths[lengths > 0]).tolist():
                pixels = torch.nonzero(lengths == length).squeeze(1)
                distinct, place = _distinct(batch, keep, pixels)
                work = partial(
                    self._encoded, batch=batch, keep=keep, projections=projections, length=int(length)
                )
                chunk = ROWS if keep.is_cpu else CHUNK
                result[pixels] = in_chunks(work, distinct, chunk=chunk)[place].float()
        return result

    @property
    def _encoder(self) -> GalileoEncoder:
        if not isinstance(self.encoder, GalileoEncoder):
            raise TypeError(f"the encoder is a {type(self.encoder).__name__}")
        return self.encoder

    def _encoded(
        self,
        pixels: Tensor,
        batch: Batch,
        keep: Tensor,
        projections: dict[str, Projection] | None = None,
        length: int | None = None,
    ) -> Tensor:
        """Features (R, D) of some pixels (R,) of a batch."""
        months = months_of(batch)[pixels] - 1
        x, seen = {}, {}
        for column, name in enumerate(self.spec.modalities):
            rows = batch.index[name][pixels] if name in batch.index else pixels
            x[name] = self.normalise[name](self._in_units(name, batch.x[name][rows], months))
            seen[name] = batch.valid[name][rows] & keep[pixels, column, None]
        values = {group: x[name][..., bands] for group, (name, bands) in self.groups.items()}
        there = {group: seen[name] for group, (name, _) in self.groups.items()}
        features: Tensor = self._encoder(values, there, months, projections, length)
        return features

    def _in_units(self, name: str, x: Tensor, months: Tensor) -> Tensor:
        """Values (R, T, C) in the encoder's units."""
        bands = self.spec.bands[name]
        if not any(band in MONTHLY_SUMS for band in bands):
            return x
        sums = torch.tensor([band in MONTHLY_SUMS for band in bands], device=x.device)
        return torch.where(sums, x * self.days[months][..., None], x)

    def _tokens(self, batch: Batch, keep: Tensor) -> Tensor:
        """Number of visible tokens of each pixel: (N,)."""
        number = torch.zeros(len(batch), dtype=torch.int64, device=keep.device)
        for column, name in enumerate(self.spec.modalities):
            steps = batch.valid[name].sum(1)
            steps = steps[batch.index[name]] if name in batch.index else steps
            groups = sum(modality == name for modality, _ in self.groups.values())
            number += groups * steps * keep[:, column]
        return number


def _groups_of(spec: Spec) -> dict[str, tuple[str, list[int]]]:
    """Of every group that a table fills, the modality and the places of its bands.

    Raises:
        MethodError: A modality fills none.
    """
    found = {
        group: (name, [spec.bands[name].index(band) for band in bands])
        for group, (name, bands) in GALILEO.items()
        if set(bands) <= set(spec.bands.get(name, ()))
    }
    for name in spec.modalities:
        if not any(modality == name for modality, _ in found.values()):
            wanted = [" and ".join(bands) for modality, bands in GALILEO.values() if modality == name]
            raise MethodError(
                f"Galileo has no use for {name} of {', '.join(spec.bands[name])} alone",
                expected=" or ".join(wanted),
                todo="use a table with these bands, or one without this modality",
            )
    return found


def _distinct(batch: Batch, keep: Tensor, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels (U,) that stand for all of `pixels` (R,), and which of them stands for each (R,).

    Pixels that have nothing but rows that repeat (weather cells) are equal where these are.
    """
    whole = torch.arange(len(pixels), device=pixels.device)
    if not batch.index:
        return pixels, whole
    columns = [
        torch.where(keep[pixels, column], _row(batch, name, pixels), -1)
        for column, name in enumerate(batch.modalities)
    ]
    calendar = months_of(batch)[pixels]
    _, place = torch.unique(torch.cat([torch.stack(columns, 1), calendar], 1), dim=0, return_inverse=True)
    first = torch.zeros(int(place.max()) + 1, dtype=torch.int64, device=pixels.device)
    first[place] = whole  # any of the equal ones
    return pixels[first], place


def _row(batch: Batch, modality: str, pixels: Tensor) -> Tensor:
    return batch.index[modality][pixels] if modality in batch.index else pixels
