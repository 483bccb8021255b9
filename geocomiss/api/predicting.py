"""Predicting a stack lazily: each tile is a task, computed when its pixels are asked for."""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Final, cast

import dask
import dask.array as da
import numpy as np
import rioxarray  # noqa: F401  # gives datasets `.rio`
import xarray as xr
from dask.delayed import delayed
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox

from geocomiss import __version__
from geocomiss.api.opening import cycle_of
from geocomiss.applicability import Applicability
from geocomiss.batch import Spec, batch_of_stack
from geocomiss.calibration import Readout
from geocomiss.checkpoint import Checkpoint
from geocomiss.engine import Wanted, precision_of, prepared
from geocomiss.errors import CheckpointError, MapError, RecipeError
from geocomiss.grid import Tile, crs_of, tiles_of
from geocomiss.inference import dissimilarity_of
from geocomiss.inference import predict as predict_batch
from geocomiss.mapping.contract import band_differences, recipe_differences, settle
from geocomiss.mapping.facts import SIMULATED_MODEL
from geocomiss.mapping.plan import classes_of
from geocomiss.mapping.request import OnMismatch
from geocomiss.maps import APPLICABILITY, EXPECTED_ACCURACY
from geocomiss.methods import Method
from geocomiss.modalities import IMAGING, MODALITIES
from geocomiss.stack import assign_grid, bands_of, grid_of_stack, origin_of, window
from geocomiss.stack import without as left_after

TILE: Final = 512
"""Pixels a side of the chunks of a prediction."""
FIELDS: Final = ("crop_type", "confidence", "modalities", EXPECTED_ACCURACY, APPLICABILITY)
"""What is predicted of a pixel."""


def predict(
    stack: xr.DataTree,
    model: Checkpoint,
    *,
    tile: int = TILE,
    without: Collection[str] = (),
    require: Collection[str] = IMAGING,
    on_mismatch: OnMismatch = "refuse",
    precision: Wanted = "auto",
    simulated_model_on_real_data: bool = False,
) -> xr.Dataset:
    """What a model says of each pixel of a stack, computed only where and when it is asked for.

    Args:
        stack: From `open_stack`, or `geocomiss.stack.read_stack`.
        model: From `load_model`.
        tile: Pixels a side of a chunk.
        without: Modalities to predict without, as if they were missing.
        require: Modalities of which a pixel must have one to get a class; none: any will do.
        on_mismatch: What becomes of a modality that was made otherwise than the model's training data:
            'refuse' raises, 'drop' treats it as missing, 'allow' uses it.
        precision: Numbers of the encoders: 'auto', 'float32' or 'bfloat16', as in `geocomiss map`.
        simulated_model_on_real_data: Whether a model of the simulated world may map real data.

    Returns:
        Dimensions (y, x) and the stack's CRS: `crop_type` (uint8, 0 = no class; `flag_values` and
        `flag_meanings` name the classes), `confidence` (float32, 0..1, NaN where there is no class),
        `modalities` (uint8, 1 optical + 2 radar + 4 weather + 8 topography), of calibrated models
        `expected_accuracy` (float32, 0..1, NaN), and of models that know their area of applicability
        `applicability` (float32, dissimilarity to the training samples: above 1 lies outside, where
        expected accuracy is NaN; NaN where there is no class).

    Raises:
        RecipeError: The stack was not made as the model's training data were.
        CheckpointError: The model predicts a value, or knows the simulated world only.
        MapError: A tile size or modality that is none.
    """
    _check(stack, model, tile, (*without, *require), simulated_model_on_real_data)
    kept = left_after(stack, _dropped(stack, model, on_mismatch, without))
    said = model.card.readout()
    bits = sum(MODALITIES[name].bit for name in require)
    chosen = precision_of(precision, "cpu", model.method)
    method = prepared(model.method, chosen)
    pixels = _Pixels(
        kept, grid_of_stack(stack), model.card.spec, method, said, bits, model.applicability
    )  # fmt: skip
    known = {EXPECTED_ACCURACY: said.knows_accuracy, APPLICABILITY: model.applicability is not None}
    names = [name for name in FIELDS if known.get(name, True)]
    values = _blocks(pixels, tile, len(names))
    data = {name: (("y", "x"), _typed(name, values[row])) for row, name in enumerate(names)}
    placed = assign_grid(xr.Dataset(data), pixels.grid)
    prediction = placed.rio.write_crs(crs_of(pixels.grid)).assign_attrs(placed.attrs)  # it drops one
    return _described(prediction, stack, model)


@dataclass(frozen=True)
class _Pixels:
    """All that decides a pixel."""

    stack: xr.DataTree
    grid: GeoBox
    spec: Spec
    method: Method
    readout: Readout
    required: int
    applicability: Applicability | None

    def classify(self, tile: Tile) -> NDArray[np.float32]:
        """The fields of a tile, (fields, h, w), NaN where a probability is not known."""
        with dask.config.set(scheduler="synchronous"):  # we are a task already
            part = window(self.stack, tile.y, tile.x, self.grid).compute()
        everything = np.ones(tile.geobox.shape, bool)
        batch = batch_of_stack(part, self.spec, everything, tile.geobox, self.grid)
        found = predict_batch(self.method, batch, readout=self.readout)
        shown = found.value > 0
        if self.required:
            shown &= (found.modalities & self.required) > 0
        fields = [
            np.where(shown, found.value, 0),
            np.where(shown, found.confidence, np.nan),
            found.modalities,
        ]
        far = dissimilarity_of(self.applicability, batch) if self.applicability else None
        if found.expected is not None:
            inside = shown if far is None else shown & (far <= 1)
            fields.append(np.where(inside, found.expected, np.nan))
        if far is not None:
            fields.append(np.where(shown, far, np.nan))
        return np.stack(fields).astype(np.float32).reshape(len(fields), *tile.geobox.shape)


def _blocks(pixels: _Pixels, size: int, fields: int) -> da.Array:
    """The fields (fields, H, W) as a lazy array, one task a tile for all of them."""
    classify = delayed(pixels.classify, pure=False, traverse=False)
    rows: dict[int, list[da.Array]] = {}
    for tile in tiles_of(pixels.grid, size):
        block = da.from_delayed(classify(tile), (fields, *tile.geobox.shape), np.float32)  # type: ignore[no-untyped-call]
        rows.setdefault(tile.y.start, []).append(block)
    return cast(da.Array, da.block(list(rows.values())))  # type: ignore[no-untyped-call]


def _typed(name: str, values: da.Array) -> da.Array:
    floats = ("confidence", EXPECTED_ACCURACY, APPLICABILITY)
    return values if name in floats else cast(da.Array, values.astype(np.uint8))  # type: ignore[no-untyped-call]


def _check(stack: xr.DataTree, model: Checkpoint, tile: int, named: Collection[str], allowed: bool) -> None:
    """Refuse what cannot be mapped."""
    if tile < 1:
        raise MapError(f"tile={tile}", expected="at least 1 pixel", todo="correct it")
    if wrong := [name for name in named if name not in MODALITIES]:
        raise MapError(f"no modality {', '.join(wrong)}", expected=" or ".join(MODALITIES), todo="correct it")
    if target := model.card.target:
        raise CheckpointError(
            f"a model that predicts a value, {target.name}",
            expected="one that tells classes apart",
            todo="predict with a model of classes",
        )
    if model.card.simulated and not origin_of(stack).simulated and not allowed:
        raise CheckpointError(
            "a model of the simulated world and a stack of real data",
            expected="a model trained on real samples",
            todo="train one, or give simulated_model_on_real_data=True",
        )
    cycle, calendar = cycle_of(model), origin_of(stack).calendar
    if not cycle.fits(calendar):
        raise RecipeError(
            f"a stack of {calendar}", expected=str(cycle), todo="open it with open_stack(..., model=model)"
        )


def _dropped(
    stack: xr.DataTree, model: Checkpoint, on_mismatch: OnMismatch, without: Collection[str]
) -> tuple[str, ...]:
    """Modalities that are not used: not wanted, not read by the model, or made otherwise."""
    card, bands = model.card, bands_of(stack)
    shared = tuple(name for name in bands if name in card.bands)
    differ = (*recipe_differences(origin_of(stack).recipe, card, shared), *band_differences(bands, card))
    contract = settle(differ, on_mismatch, tuple(without))
    unread = (name for name in bands if name in without or name not in card.bands)
    return (*contract.dropped, *unread)


def _described(prediction: xr.Dataset, stack: xr.DataTree, model: Checkpoint) -> xr.Dataset:
    """The prediction with the names of its classes (CF flags) and where it comes from."""
    card, origin = model.card, origin_of(stack)
    classes = classes_of(card)
    prediction["crop_type"].attrs |= {
        "flag_values": np.array([each.value for each in classes], np.uint8),
        "flag_meanings": " ".join("_".join(each.name.split()) for each in classes),
        "classes": json.dumps([asdict(each) for each in classes], ensure_ascii=False),
    }
    prediction.attrs |= {
        "software": f"geocomiss {__version__}",
        "model_sha256": card.model_sha256,
        "model_method": card.method,
        "recipe": origin.recipe.name,
        "source": origin.source,
        "season": f"{origin.calendar.start}/{origin.calendar.last_day}",
    }
    if card.simulated:
        prediction.attrs["label"] = "SIMULATED WORLD" if origin.simulated else SIMULATED_MODEL
    return prediction
