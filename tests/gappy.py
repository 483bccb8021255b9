"""A small stack with every kind of gap, and an untrained model that reads it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from affine import Affine
from odc.geo.geobox import GeoBox

from geocomiss.batch import Spec, batch_of_stack, default_min_steps
from geocomiss.checkpoint import Card, ClassInfo, Training, statistics_of, write_checkpoint
from geocomiss.methods import Method, new_method
from geocomiss.modalities import MODALITIES
from geocomiss.recipes import RECIPES, Recipe
from geocomiss.seasons import Calendar, Cycle
from geocomiss.sources import open_source
from geocomiss.stack import Origin, assign_grid, new_stack, periods, write_stack

RECIPE = RECIPES["monthly-l2a"]
SEASON = RECIPE.cycle.ending_in(2021)
GRID = GeoBox((45, 60), Affine(10, 0, 640000, 0, -10, 5610000), "EPSG:32631")
COARSE = GeoBox((2, 3), Affine(0.004, 0, 4.9735, 0, -0.004, 50.6265), "EPSG:4326")
BANDS = {
    "optical": ("B2", "B3", "B4", "B8", "NDVI"),
    "radar": ("VV", "VH"),
    "weather": ("temperature_2m", "total_precipitation"),
    "topography": ("elevation", "slope"),
}
RANGES = {
    "B2": (200, 900),
    "B3": (200, 1200),
    "B4": (200, 1500),
    "B8": (1500, 4500),
    "NDVI": (0.1, 0.9),
    "VV": (-15, -5),
    "VH": (-22, -12),
    "temperature_2m": (270, 300),
    "total_precipitation": (0, 0.006),
    "elevation": (50, 300),
    "slope": (0, 15),
}
TRAINING = Training(
    table="test",
    sha256="0" * 64,
    label="label",
    legend=None,
    n=10,
    n_by_class={"maize": 4, "wheat": 3, "non_crop": 3},
    seed=0,
    epochs=1,
    years=(2021,),
    cells=((50, 4),),
    groups="none",
    held_out=None,
    recipe_stated=True,
)
NO_OPTICAL, WEATHER_ONLY, NOTHING = (3, 4), (5, 6), (7, 8)
"""Pixels (row, column) with particular gaps, see `gappy_groups`."""


def group(name: str, grid: GeoBox, calendar: Calendar, rng: np.random.Generator) -> xr.Dataset:
    dims = ("time", "y", "x") if MODALITIES[name].dynamic else ("y", "x")
    shape = (calendar.number, *grid.shape) if MODALITIES[name].dynamic else grid.shape
    data = {band: (dims, rng.uniform(*RANGES[band], shape).astype("f4")) for band in BANDS[name]}
    if MODALITIES[name].dynamic:
        data["count"] = (dims, np.ones(shape, np.int16))
    coords = {"time": np.array(calendar.edges()[:-1], "datetime64[ns]")} if MODALITIES[name].dynamic else {}
    return assign_grid(xr.Dataset(data, coords=coords), grid)


def gappy_groups(grid: GeoBox = GRID, calendar: Calendar = SEASON, seed: int = 0) -> dict[str, xr.Dataset]:
    """Random clouds, a cloud-only month, and three pixels that lack more and more."""
    rng = np.random.default_rng(seed)
    groups = {name: group(name, COARSE if name == "weather" else grid, calendar, rng) for name in BANDS}
    optical, radar = groups["optical"], groups["radar"]
    clouds = rng.random((calendar.number, *grid.shape)) < 0.6
    clouds[4] = True
    for band in BANDS["optical"]:
        optical[band].values[clouds] = np.nan
        for row, col in (NO_OPTICAL, WEATHER_ONLY, NOTHING):
            optical[band].values[:, row, col] = np.nan
    for band in BANDS["radar"]:
        for row, col in (WEATHER_ONLY, NOTHING):
            radar[band].values[:, row, col] = np.nan
    groups["topography"]["slope"].values[NOTHING] = np.nan
    groups["topography"]["slope"].values[20:, :9] = np.nan
    return groups


def store(folder: Path, groups: dict[str, xr.Dataset], recipe: Recipe = RECIPE, **origin: object) -> Path:
    path = folder / "stack.zarr"
    write_stack(new_stack(groups, replace(Origin("test", recipe, SEASON), **origin)), path)
    return path


def untrained(folder: Path, kind: str = "comiss", preset: str = "small", **changes: object) -> Path:
    """An untrained checkpoint that fits `gappy_groups`, its card changed as asked."""
    classes = len(changes.get("classes", "123"))  # type: ignore[arg-type]
    method = _new_method(Spec(BANDS, 12, classes, default_min_steps(tuple(BANDS), 12)), kind, preset)
    for name, bands in BANDS.items():
        low, high = np.array([RANGES[band] for band in bands], "f4").T
        method.normaliser(name).mean.copy_(torch.from_numpy((low + high) / 2))
        method.normaliser(name).std.copy_(torch.from_numpy((high - low) / 4))
    changes = {"options": {"preset": preset}} | changes
    return _write(folder / "model", method, RECIPE, RECIPE.cycle, changes)


def untrained_for(source: Path, folder: Path, cycle: Cycle, **changes: object) -> Path:
    """An untrained Co-Miss checkpoint that fits a real source: its bands, recipe and values."""
    opened = open_source(str(source), RECIPE)
    assert opened.grid is not None and opened.held is not None
    season = periods(opened.held, cycle)[0]
    spec = Spec(
        opened.bands, cycle.number, 3, default_min_steps(tuple(opened.bands), 12), opened.recipe.screened
    )
    method = _new_method(spec)
    stack = opened.open(opened.grid, season).compute()
    method.fit_normalisation(batch_of_stack(stack, spec, np.ones(opened.grid.shape, bool)))
    return _write(folder / "model", method, opened.recipe, cycle, changes)


def _new_method(spec: Spec, name: str = "comiss", preset: str = "small") -> Method:
    torch.manual_seed(1)
    return new_method(name, spec, {"preset": preset})


def _write(folder: Path, method: Method, recipe: Recipe, cycle: Cycle, changes: dict[str, object]) -> Path:
    card = Card(
        method="comiss",
        options={"preset": "small"},
        classes=(
            ClassInfo(value=1, name="maize", color="#ffd300"),
            ClassInfo(value=2, name="wheat", color="#a57000"),
            ClassInfo(value=3, name="non_crop", color="#808080"),
        ),
        recipe=recipe,
        cycle=cycle,
        steps=cycle.number,
        bands=method.spec.bands,
        min_steps=dict(method.spec.min_steps),
        statistics=statistics_of(method),
        training=TRAINING,
        scores=None,
        simulated=False,
    )
    write_checkpoint(folder, card.model_copy(update=changes), method)
    return folder
