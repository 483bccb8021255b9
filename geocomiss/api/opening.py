"""Opening stacks and models, as the command line would."""

from pathlib import Path
from typing import Final

import xarray as xr

from geocomiss.aoi import read_aoi
from geocomiss.checkpoint import Checkpoint, read_checkpoint
from geocomiss.errors import CheckpointError, StackError
from geocomiss.recipes import RECIPES
from geocomiss.seasons import Cycle
from geocomiss.sources.base import Reading
from geocomiss.sources.resolve import Asked, resolve_grid, resolve_season, source_asked
from geocomiss.stack import chunked, groups_of, new_stack, origin_of

CALENDAR_YEAR: Final = Cycle(1, "month", 12)
"""Steps of a stack that is opened without a model."""


def load_model(name_or_path: str | Path) -> Checkpoint:
    """Read a trained model: a folder, or 'simulated', the one that comes with the package.

    Raises:
        CheckpointError: It is missing, damaged, pickled, or its weights are not those of its card.
    """
    return read_checkpoint(str(name_or_path))


def open_stack(
    source: str | Path,
    *,
    aoi: str | Path | None = None,
    season: str | None = None,
    model: Checkpoint | None = None,
    crs: str = "auto",
    resolution: float | None = None,
) -> xr.DataTree:
    """Open what satellites, weather and terrain say about an area, lazily.

    Args:
        source: As `--source`: 'simulated', 'ee', a catalogue, or the path of data on disk.
        aoi: A vector file, 'W,S,E,N' in degrees or WKT; None: all of a local stack.
        season: As `--season`, for example '2021' or '2020-11:2021-10'; None: the only one that a local
            stack holds.
        model: The model that will read it: the stack is made by its recipe, with its steps. None: monthly
            composites of the recipe `monthly-l2a`.
        crs: CRS of the grid, or 'auto': that of the data, else the UTM zone of the area.
        resolution: Metres a pixel; None: that of the data, else 10.

    Returns:
        A group a modality in canonical units, Dask's arrays, NaN where something is missing: see
            `geocomiss.stack`. Of a
        stack that was fetched for an area, blocks without any of it are missing, too.

    Raises:
        GeocomissError: The source, area or season cannot be used.
    """
    recipe = model.card.recipe if model else RECIPES["monthly-l2a"]
    cycle = cycle_of(model) if model else CALENDAR_YEAR
    reading = Reading(model.card.bands) if model else Reading()
    opened = source_asked(Asked(str(source), recipe, reading=reading))
    area = read_aoi(str(aoi)).geometry if aoi else None
    calendar = resolve_season(season, opened, cycle, exact=model is not None)
    if calendar is None:
        raise StackError(
            f"a stack that holds {opened.held}", expected=str(cycle), todo="give another season or model"
        )
    stack = opened.open(resolve_grid(opened, area, crs, resolution), calendar)
    return new_stack({name: chunked(group) for name, group in groups_of(stack).items()}, origin_of(stack))


def cycle_of(model: Checkpoint) -> Cycle:
    """The steps of a model.

    Raises:
        CheckpointError: Its samples tell no months, or not the same.
    """
    if model.card.cycle is None:
        raise CheckpointError(
            "a model without a calendar: its samples did not tell their months, or start in different months",
            expected="a model whose samples all have the same months, one after the other",
            todo="train it on samples of one calendar",
        )
    return model.card.cycle
