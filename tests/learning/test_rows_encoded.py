"""No row goes through an encoder twice, and none for a pixel that does not have the modality."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from affine import Affine
from gappy import BANDS, GRID, SEASON, gappy_groups, group
from odc.geo.geobox import GeoBox

from geocomiss import nets
from geocomiss.batch import Batch, Spec, batch_of_stack, default_min_steps
from geocomiss.engine import FoldedStatic, FoldedTempCNN, prepared
from geocomiss.inference import predict
from geocomiss.methods import METHODS, new_method
from geocomiss.methods.late import LateFusion
from geocomiss.nets import StaticEncoder, TempCNN
from geocomiss.recipes import RECIPES
from geocomiss.stack import Origin, new_stack

LATE = sorted(name for name, kind in METHODS.items() if issubclass(kind, LateFusion))
ENCODERS = (TempCNN, StaticEncoder, FoldedTempCNN, FoldedStatic)
CELLS = GeoBox((6, 9), Affine(0.001, 0, 4.9755, 0, -0.001, 50.6265), "EPSG:4326")
"""Some 20 of these lie under the grid, which they do not cover whole."""
SPEC = Spec(BANDS, 12, 3, default_min_steps(tuple(BANDS), 12))
CHUNK, FEW = 32, 1
"""Rows at once here, so that padding is little beside what is counted."""


def stack(coarse_terrain: bool = False) -> xr.DataTree:
    """Pixels with gaps, weather on many cells of which some lack everything."""
    rng, groups = np.random.default_rng(8), gappy_groups()
    groups["weather"] = group("weather", CELLS, SEASON, rng)
    for band in BANDS["weather"]:
        groups["weather"][band].values[:, 2, ::3] = np.nan
    for band in BANDS["radar"]:
        groups["radar"][band].values[:, :20] = np.nan
    if coarse_terrain:
        groups["topography"] = group("topography", CELLS, SEASON, rng)
    return new_stack(groups, Origin("test", RECIPES["monthly-l2a"], SEASON))


def batch_of(tree: xr.DataTree) -> Batch:
    some = np.zeros(GRID.shape, bool)
    some[::3, ::2] = True
    return batch_of_stack(tree, SPEC, some, GRID)


@pytest.fixture(scope="module")
def batch() -> Batch:
    found = batch_of(stack())
    some = found.available.float().mean(0)
    assert ((some > 0.3) & (some < 0.99)).all(), "each modality is missing at a share of the pixels"
    return found


@pytest.fixture(params=LATE)
def method(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> LateFusion:
    monkeypatch.setattr(nets, "CHUNK", CHUNK)
    monkeypatch.setattr(nets, "FEW", FEW)
    torch.manual_seed(0)
    found = new_method(request.param, SPEC, {"preset": "small"}).eval()
    assert isinstance(found, LateFusion)
    return found


def encoded(method: LateFusion, batch: Batch) -> dict[str, set[int]]:
    """Rows that went into each modality's encoders, padding included, while a batch was classified."""
    rows: Counter[tuple[str, str]] = Counter()
    hooks = []
    for name, branch in method.branches.items():
        for place, module in branch.named_modules():
            if isinstance(module, ENCODERS):

                def count(_: object, x: tuple[torch.Tensor], key: tuple[str, str] = (name, place)) -> None:
                    rows[key] += len(x[0])

                rows[name, place] = 0
                hooks.append(module.register_forward_pre_hook(count))
    predict(method, batch)
    for hook in hooks:
        hook.remove()
    return {name: {number for (of, _), number in rows.items() if of == name} for name in method.branches}


def cells_needed(method: LateFusion, batch: Batch, name: str) -> int:
    """Cells of which a pixel that has the modality needs the result, one pixel after the other."""
    column, around = batch.modalities.index(name), batch.around[name]
    enough = batch.valid[name].any(1)
    needed: set[int] = set()
    for pixel in np.flatnonzero(batch.available[:, column].numpy()):
        needed.add(int(batch.index[name][pixel]))
        if method.additive:
            near = zip(around.rows[pixel].tolist(), around.weights[pixel].tolist(), strict=True)
            needed |= {cell for cell, weight in near if weight > 0 and enough[cell]}
    return len(needed)


def whole_chunks(rows: int, chunk: int) -> set[int]:
    return {-(-rows // chunk) * chunk}


@pytest.mark.parametrize("folded", [False, True], ids=["as trained", "folded"])
def test_rows_encoded_are_the_distinct_ones_that_some_pixel_has(
    method: LateFusion, batch: Batch, folded: bool
) -> None:
    ready = prepared(method, "float32") if folded else method
    assert isinstance(ready, LateFusion)
    found = encoded(ready, batch)
    for column, name in enumerate(batch.modalities):
        if name == "weather":
            needed = cells_needed(method, batch, name)
            assert 8 <= needed < len(batch.x[name]), "fewer than there are: some lack every step"
            assert found[name] == whole_chunks(needed, FEW)
        else:
            assert found[name] == whole_chunks(int(batch.available[:, column].sum()), CHUNK)


def test_a_modality_that_no_pixel_has_is_not_encoded(method: LateFusion, batch: Batch) -> None:
    everything = encoded(method, batch)
    for missing in batch.modalities:
        left = tuple(name for name in batch.modalities if name != missing)
        assert encoded(method, batch.keep_only(left)) == everything | {missing: {0}}


def test_pixels_that_share_cells_cost_nothing_more(method: LateFusion, batch: Batch) -> None:
    twice = batch[torch.arange(len(batch)).repeat(2)]
    assert encoded(method, twice)["weather"] == encoded(method, batch)["weather"]


def test_terrain_on_a_coarse_grid_of_its_own_is_encoded_once_a_cell(method: LateFusion) -> None:
    # sources bring terrain to the pixel grid today; what batches are made of takes it on cells, too
    coarse = batch_of(stack(coarse_terrain=True))
    column = coarse.modalities.index("topography")
    assert coarse.available[:, column].sum() > 5 * len(coarse.x["topography"])
    needed = cells_needed(method, coarse, "topography")
    assert encoded(method, coarse)["topography"] == whole_chunks(needed, FEW)
    own = replace(coarse, around={})
    assert encoded(method, own)["topography"] == whole_chunks(
        len(np.unique(own.index["topography"][own.available[:, column]])), FEW
    )
