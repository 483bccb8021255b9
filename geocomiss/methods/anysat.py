"""AnySat as a method: optical and radar series, a token each; it knows no weather and no topography.

N pixels, R rows, T steps, C bands, M modalities, D features.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Final

import torch
from pydantic.dataclasses import dataclass
from torch import Tensor

from geocomiss.batch import Batch, Spec
from geocomiss.errors import MethodError
from geocomiss.methods.base import OPTIONS, MethodOptions
from geocomiss.methods.late import placed
from geocomiss.methods.pretrained import Pretrained, PretrainedOptions, months_of
from geocomiss.nets import CHUNK, in_chunks
from geocomiss.pretrained.anysat import (
    PUBLISHED,
    SIZES,
    SMALLEST,
    AnySatEncoder,
    SizeName,
    parts_of,
    read_anysat,
)
from geocomiss.pretrained.inputs import ANYSAT
from geocomiss.pretrained.weights import Published, is_path

MIDDLE: Final = (15, 45, 74, 105, 135, 166, 196, 227, 258, 288, 319, 349)
"""Day of the year, from 0, in the middle of each month."""


@dataclass(frozen=True, config=OPTIONS)
class AnySatOptions(PretrainedOptions):
    """Choices of AnySat."""

    published: ClassVar[Published] = PUBLISHED
    size: SizeName = "base"
    """Size of the encoder; published weights state their own."""


class AnySat(Pretrained):
    """AnySat's encoder and a linear head, on the sensors that a pixel has.

    Inputs are normalised with the statistics of the training samples, as its authors do; steps that
    are missing are left out of the series. Source: Astruc et al. 2025.
    """

    options_type: ClassVar[type[MethodOptions]] = AnySatOptions
    supported: ClassVar[tuple[str, ...]] = tuple(modality for modality, _ in ANYSAT.values())
    middle: Tensor
    """(12,) day in the middle of the months."""

    def __init__(self, spec: Spec, options: AnySatOptions) -> None:
        weights = read_anysat(Path(options.weights)) if is_path(options.weights) else None
        if weights:
            options = replace(options, weights=weights.sha256, size=weights.size)
        size = SMALLEST if options.small else SIZES[options.size]
        sensors = tuple(sensor for sensor, (name, _) in ANYSAT.items() if name in spec.modalities)
        if not sensors:
            raise MethodError(
                f"AnySat cannot read {', '.join(spec.modalities)}",
                expected=f"a table with {' or '.join(self.supported)}",
                todo="choose another method or table",
            )
        encoder = AnySatEncoder(size, sensors)
        if weights:
            encoder.load_state_dict(parts_of(weights.tensors, sensors))
        super().__init__(spec, options, encoder, size.features, encoder.used_by(sensors))
        self.sensors = {ANYSAT[sensor][0]: sensor for sensor in sensors}
        self.channels = {name: _channels(spec, name) for name in self.sensors}
        self.register_buffer("middle", torch.tensor(MIDDLE), persistent=False)

    def encode(self, batch: Batch, keep: Tensor) -> Tensor:
        """All pixels at once."""
        tokens = []
        for name in self.sensors:
            wanted = torch.nonzero(keep[:, self.spec.modalities.index(name)]).squeeze(1)
            rows = self._token(name, *self._series(batch, name, wanted)) if len(wanted) else (
                torch.zeros(0, self.features, device=keep.device)
            )  # fmt: skip
            tokens.append(placed(rows, wanted, len(batch)))
        features: Tensor = self._encoder(torch.stack(tokens, 1), keep[:, self._columns])
        return features

    def evaluate(self, batch: Batch, keep: Tensor) -> Tensor:
        """Each sensor only where it is kept."""
        tokens = []
        for name in self.sensors:
            token = torch.zeros(len(batch), self.features, device=keep.device)
            wanted = torch.nonzero(keep[:, self.spec.modalities.index(name)]).squeeze(1)
            if len(wanted):
                series = self._series(batch, name, wanted)
                token[wanted] = in_chunks(partial(self._token, name), *series, chunk=CHUNK)
            tokens.append(token)
        return in_chunks(self._encoder, torch.stack(tokens, 1), keep[:, self._columns], chunk=CHUNK)

    @property
    def _encoder(self) -> AnySatEncoder:
        if not isinstance(self.encoder, AnySatEncoder):
            raise TypeError(f"the encoder is a {type(self.encoder).__name__}")
        return self.encoder

    @property
    def _columns(self) -> list[int]:
        return [self.spec.modalities.index(name) for name in self.sensors]

    def _series(self, batch: Batch, name: str, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Values (R, T, C), seen steps (R, T) and months (R, T) of some pixels."""
        rows = batch.index[name][pixels] if name in batch.index else pixels
        return batch.x[name][rows], batch.valid[name][rows], months_of(batch)[pixels]

    def _token(self, name: str, x: Tensor, seen: Tensor, months: Tensor) -> Tensor:
        """The token (R, D) of a sensor. Rows that only fill a chunk see all of their zeros."""
        nothing = ~seen.any(1, keepdim=True)
        normal = self.normalise[name](x)
        values = torch.cat([normal, torch.zeros_like(normal[..., :1])], 2)[..., self.channels[name]]
        days = self.middle[(months - 1).clamp(min=0)]
        return self._encoder.token(self.sensors[name], values, seen | nothing, days)


def _channels(spec: Spec, name: str) -> list[int]:
    """The place of each channel of a sensor among the bands of a table, C where it has none of them.

    Raises:
        MethodError: It has none at all.
    """
    have = spec.bands[name]
    wanted = next(channels for modality, channels in ANYSAT.values() if modality == name)
    places = [next((have.index(band) for band in bands if band in have), len(have)) for bands in wanted]
    if set(places) == {len(have)}:
        raise MethodError(
            f"AnySat has no use for {name} of {', '.join(have)} alone",
            expected=" and ".join(bands[0] for bands in wanted),
            todo="use a table with these bands, or one without this modality",
        )
    return places
