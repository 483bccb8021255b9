"""What a stack is made of, and how its parts are asked for."""

import json
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Final

import numpy as np
import xarray as xr
from affine import Affine
from odc.geo import CRS
from odc.geo.geobox import GeoBox

from geocomiss.errors import StackError
from geocomiss.grid import crs_of, crs_text, same_grid
from geocomiss.modalities import MODALITIES
from geocomiss.recipes import Recipe, recipe_from
from geocomiss.seasons import Calendar

FORMAT: Final = 1
"""Version of the layout on disk."""
COUNT: Final = "count"
"""Variable that holds the clear observations behind each step."""


@dataclass(frozen=True)
class Origin:
    """Where a stack comes from: what its map and its card will state."""

    source: str
    """Name of the source, without a path of one machine."""
    recipe: Recipe
    """How it was made."""
    calendar: Calendar
    """Its time steps."""
    simulated: bool = False
    """Whether the values come from the simulated world."""
    radar_pass: str = "unknown"
    """'ascending', 'descending', 'both', 'mixed' (differs by cells of about 100 km) or 'unknown'."""
    notes: tuple[str, ...] = ()
    """What a user should know, for example observations lost to cloud dilation."""


def new_stack(groups: dict[str, xr.Dataset], origin: Origin) -> xr.DataTree:
    """Put modalities together, in canonical order, and hold them to the layout.

    Args:
        groups: A dataset per modality, with `x`/`y` coordinates and a CRS (`assign_grid`).
            A modality that is missing altogether is left out.
        origin: How and when it was made.

    Raises:
        StackError: A group, band or dimension that the layout does not know.
    """
    for name, group in groups.items():
        _check_layout(name, group, origin.calendar)
    ordered: dict[str, xr.Dataset] = {f"/{name}": groups[name] for name in MODALITIES if name in groups}
    stack = xr.DataTree.from_dict(ordered)
    stack.attrs = _stated(origin)
    return stack


def origin_of(stack: xr.DataTree) -> Origin:
    """How and when a stack was made.

    Raises:
        StackError: The attributes are missing: it is no stack of ours.
    """
    try:
        stored = json.loads(stack.attrs["origin"])
        calendar = stored["calendar"] | {"start": date.fromisoformat(stored["calendar"]["start"])}
        return Origin(
            **stored
            | {
                "recipe": recipe_from(stored["recipe"]),
                "calendar": Calendar(**calendar),
                "notes": tuple(stored["notes"]),
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StackError(
            "a stack that does not state its recipe and calendar",
            expected="a stack written by `geocomiss fetch`",
            todo="write it again",
        ) from error


def with_origin(stack: xr.DataTree, origin: Origin) -> xr.DataTree:
    """The same stack with another statement of how it was made."""
    result = stack.copy()
    result.attrs = _stated(origin)
    return result


def _stated(origin: Origin) -> dict[str, Any]:
    """Attributes of a stack."""
    stored = asdict(origin) | {"calendar": asdict(origin.calendar) | {"start": str(origin.calendar.start)}}
    return {"geocomiss_stack": FORMAT, "origin": json.dumps(stored)}


def groups_of(stack: xr.DataTree) -> dict[str, xr.Dataset]:
    """The modalities of a stack as plain datasets, in canonical order."""
    children = stack.children
    return {name: children[name].to_dataset(inherit=False) for name in MODALITIES if name in children}


def bands_of(stack: xr.DataTree) -> dict[str, tuple[str, ...]]:
    """Bands present, per modality, in canonical order."""
    return {
        name: tuple(band for band in MODALITIES[name].band_names if band in group)
        for name, group in groups_of(stack).items()
    }


def assign_grid(group: xr.Dataset, grid: GeoBox) -> xr.Dataset:
    """Give a dataset with dimensions `y`, `x` the coordinates and CRS of a grid.

    Raises:
        StackError: The shape is not the grid's.
    """
    shape = (group.sizes["y"], group.sizes["x"])
    if shape != (grid.height, grid.width):
        raise StackError(
            f"an array of {shape[0]} x {shape[1]} pixels",
            expected=f"{grid.height} x {grid.width}, the grid's",
            todo="report this: a source must fill the grid it was asked for",
        )
    y, x = (np.arange(n) + 0.5 for n in shape)
    result = group.drop_vars(["spatial_ref", "y", "x"], errors="ignore").assign_coords(
        y=grid.affine.f + y * grid.affine.e, x=grid.affine.c + x * grid.affine.a
    )
    # the affine stands in the attributes: coordinates of a single row or column do not tell it
    result.attrs |= {"crs": crs_text(crs_of(grid)), "affine": list(grid.affine)[:6]}
    return result


def grid_of_group(group: xr.Dataset) -> GeoBox:
    """The grid of one modality, also after slicing rows and columns.

    Raises:
        StackError: The dataset states no grid.
    """
    try:
        a, b, _, d, e, _ = group.attrs["affine"]
        x0, y0 = float(group.x[0]) - 0.5 * a, float(group.y[0]) - 0.5 * e
        shape = (group.sizes["y"], group.sizes["x"])
        return GeoBox(shape, Affine(a, b, x0, d, e, y0), CRS(group.attrs["crs"]))
    except (KeyError, ValueError, IndexError) as error:
        raise StackError(
            "a modality that states no pixel grid",
            expected="attributes `crs` and `affine`",
            todo="write the stack again",
        ) from error


def grid_of_stack(stack: xr.DataTree) -> GeoBox:
    """The pixel grid of a stack: that of its imaging modalities or, without any, of topography.

    Raises:
        StackError: The stack has no modality on the grid, or two that differ.
    """
    on_grid = {
        name: grid_of_group(group)
        for name, group in groups_of(stack).items()
        if MODALITIES[name].imaging or not MODALITIES[name].dynamic
    }
    if not on_grid:
        raise StackError(
            f"a stack with {' and '.join(groups_of(stack)) or 'nothing'} only",
            expected="optical, radar or topography on a pixel grid",
            todo="fetch it again with an imaging modality",
        )
    first = next(iter(on_grid.values()))
    for name, grid in on_grid.items():
        if not same_grid(grid, first):
            raise StackError(
                f"{name} lies on another grid ({grid.crs}, {grid.shape}) than the rest of the stack",
                expected=f"{first.crs}, {first.shape}",
                todo="bring all modalities to one grid before mapping",
            )
    return first


def window(stack: xr.DataTree, y: slice, x: slice, grid: GeoBox | None = None) -> xr.DataTree:
    """Rows and columns of the grid; weather stays whole on its own coarse grid.

    Args:
        stack: A stack.
        y: Rows.
        x: Columns.
        grid: The pixel grid, where the stack itself may have nothing but weather.
    """
    grid = grid or grid_of_stack(stack)
    cut = {
        name: group.isel(y=y, x=x) if same_grid(grid_of_group(group), grid) else group
        for name, group in groups_of(stack).items()
    }
    return new_stack(cut, origin_of(stack))


def without(stack: xr.DataTree, names: tuple[str, ...]) -> xr.DataTree:
    """The stack as if these modalities had never been measured."""
    kept = {name: group for name, group in groups_of(stack).items() if name not in names}
    return new_stack(kept, origin_of(stack))


def _check_layout(name: str, group: xr.Dataset, calendar: Calendar) -> None:
    problem = _layout_problem(name, group, calendar)
    if problem:
        raise StackError(
            f"{name}: {problem}",
            expected="the layout of `geocomiss.stack`",
            todo="correct the source that made it",
        )


def _layout_problem(name: str, group: xr.Dataset, calendar: Calendar) -> str:
    if name not in MODALITIES:
        return f"no such modality (known: {', '.join(MODALITIES)})"
    modality: Any = MODALITIES[name]
    dims = ("time", "y", "x") if modality.dynamic else ("y", "x")
    for variable in group.data_vars:
        if variable not in (*modality.band_names, COUNT):
            return f"unknown variable {variable!r}"
        if group[variable].dims != dims:
            return f"{variable} has dimensions {group[variable].dims}, not {dims}"
    if modality.dynamic and COUNT not in group:
        return "no variable 'count' (clear observations behind each step)"
    if modality.dynamic and group.sizes["time"] != calendar.number:
        return f"{group.sizes['time']} time steps where the calendar has {calendar.number}"
    if not set(modality.band_names) & set(group.data_vars):
        return "no band at all"
    return ""
