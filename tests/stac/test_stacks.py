"""A catalogue gives the stack, and the map, that the same files give when they are read directly."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from gappy import untrained_for
from odc.geo.geobox import GeoBox
from stac_data import add_simulated, dem_grid
from stac_server import StacServer, serving

from geocomiss.errors import RecipeError
from geocomiss.mapping import MapRequest, make_map
from geocomiss.recipes import RECIPES
from geocomiss.seasons import Calendar, Cycle
from geocomiss.simulation.places import places_of
from geocomiss.simulation.terrain import elevation
from geocomiss.sources import open_source, terrain
from geocomiss.sources.base import Accounting, Reading
from geocomiss.stack import bands_of, check_units, groups_of, origin_of

GRID = GeoBox((80, 72), Affine(10, 0, 640_000, 0, -10, 5_610_000), "EPSG:32631")
MISSING = {"B3", "B5", "B6", "B7", "B8A", "B9", "B12"}
"""Bands of the simulated world that its catalogue does not serve."""
FLANDERS = Calendar(date(2017, 11, 1), "month", 12)
SPRING = Calendar(date(2021, 4, 1), "month", 3)


def assert_same(stack: xr.DataTree, expected: xr.DataTree, modality: str, near: float = 0.0) -> None:
    """Cell by cell, in every variable that both have."""
    found, wanted = groups_of(stack)[modality], groups_of(expected)[modality]
    for name in set(wanted.data_vars) - MISSING:
        np.testing.assert_allclose(
            found[name].values, wanted[name].values, rtol=0, atol=near, err_msg=str(name)
        )


def layers(folder: Path) -> dict[str, np.ndarray]:
    names = ("crop_type", "confidence", "modalities")
    return {name: rasterio.open(folder / f"{name}.tif").read(1) for name in names}


def test_real_acquisitions_make_the_stack_of_the_files(real: StacServer, thinned: Path) -> None:
    direct, catalogue = open_source(str(thinned)), open_source(f"stac+{real.url}")
    assert direct.grid is not None
    expected = direct.open(direct.grid, FLANDERS).compute()
    stack = catalogue.open(direct.grid, FLANDERS).compute()
    assert_same(stack, expected, "optical")
    assert_same(stack, expected, "radar", near=1e-5)  # dB to power and back
    assert origin_of(stack).radar_pass == "ascending"
    check_units(stack)


@pytest.mark.slow
def test_real_acquisitions_make_the_map_of_the_files(real: StacServer, thinned: Path, tmp_path: Path) -> None:
    model = untrained_for(thinned, tmp_path, Cycle(11, "month", 12))
    direct = MapRequest(
        str(thinned), tmp_path / "direct", season="2018", model=str(model), without=("weather",)
    )
    grid = open_source(str(thinned)).grid
    assert grid is not None
    box = grid.extent.to_crs("EPSG:4326").boundingbox
    asked = replace(
        direct,
        source=f"stac+{real.url}",
        out=tmp_path / "catalogue",
        aoi=f"{box.left},{box.bottom},{box.right},{box.top}",
        crs="EPSG:32631",
        on_mismatch="allow",
    )
    first, second = make_map(direct), make_map(asked)
    inside = window_of(grid, second.grid)
    for name, values in layers(second.folder).items():
        same = values[inside] == layers(first.folder)[name]
        assert same.mean() > 0.999, name  # power rounds in the last bit
    assert any("s1 product gamma0" in each for each in second.warnings)


def window_of(part: GeoBox, whole: GeoBox) -> tuple[slice, slice]:
    row = round((whole.affine.f - part.affine.f) / 10)
    col = round((part.affine.c - whole.affine.c) / 10)
    return slice(row, row + part.height), slice(col, col + part.width)


def test_gamma0_is_refused_or_dropped_where_a_model_wants_sigma0(
    real: StacServer, thinned: Path, tmp_path: Path
) -> None:
    model = untrained_for(thinned, tmp_path, Cycle(11, "month", 12))
    grid = open_source(str(thinned)).grid
    assert grid is not None
    request = MapRequest(
        f"stac+{real.url}",
        tmp_path / "map",
        aoi=grid[10:30, 10:30].extent.to_crs("EPSG:4326").wkt,
        season="2018",
        model=str(model),
    )
    with pytest.raises(RecipeError, match="gamma0, the model wants sigma0"):
        make_map(request)
    real.forget()
    report = make_map(replace(request, on_mismatch="drop"))
    assert report.modality_share["radar"] == 0 and report.modality_share["optical"] > 0.9
    assert any("radar is treated as missing" in each for each in report.warnings)
    assert not any("/S1-" in path for path in real.asked()), "what is dropped is not read"


def test_the_simulated_world_comes_back_bit_by_bit(world: StacServer) -> None:
    source = open_source(f"stac+{world.url}")
    stack = source.open(GRID, SPRING).compute()
    expected = open_source("simulated").open(GRID, SPRING).compute()
    assert_same(stack, expected, "optical")
    assert_same(stack, expected, "radar", near=1e-5)
    model = dem_grid(GRID.pad(8))
    heights = xr.DataArray(elevation(0, places_of(model)), dims=("y", "x")).chunk()
    direct = terrain.topography(heights, model, GRID, GRID).compute()
    for name in ("elevation", "slope"):
        np.testing.assert_allclose(
            groups_of(stack)["topography"][name].values, direct[name].values, atol=2e-3
        )
    assert source.recipe.s1_product == "gamma0" and origin_of(stack).recipe.terrain_product == "NASADEM"


@pytest.mark.parametrize("tile", [50])
def test_tiles_do_not_change_a_bit(world: StacServer, tile: int) -> None:
    months = Calendar(date(2021, 5, 1), "month", 2)
    whole = open_source(f"stac+{world.url}").open(GRID, months).compute()
    tiled = open_source(f"stac+{world.url}", reading=Reading(tile=tile)).open(GRID, months).compute()
    for name, group in groups_of(whole).items():
        xr.testing.assert_equal(group, groups_of(tiled)[name])


def test_a_window_of_a_search_reads_nothing_but_itself(world: StacServer) -> None:
    months = Calendar(date(2021, 5, 1), "month", 1)
    source = open_source(f"stac+{world.url}")
    source.open(GRID, months)
    searches = world.asked("/search")["/search"]
    world.forget()
    source.open(GRID[:20, :20], months)
    assert not world.asked("/search"), "a window is not searched for again"
    assert searches > 1, "the search went over pages"


def test_each_image_is_opened_once_per_tile_and_bytes_are_told(tmp_path: Path) -> None:
    """Images of 2048 x 2048 pixels in 16 blocks, of which a tile needs one."""
    with serving(tmp_path) as server:
        grid = GeoBox((256, 256), GRID.affine, GRID.crs)
        add_simulated(server, grid, date(2021, 6, 1), date(2021, 6, 8), repeat=8, only=("B2", "B4", "B8"))
        source = open_source(f"stac+{server.url}", reading=Reading({"optical": ("B2", "B4")}, tile=256))
        wide = GeoBox((2048, 2048), GRID.affine, GRID.crs)
        server.forget()
        stack = source.open(wide[600:856, 600:856], Calendar(date(2021, 6, 1), "month", 1))
        stack.compute()
        (note,), _ = source.account()  # type: ignore[attr-defined]
        images = {path for path in server.asked() if "/S2-" in path}
        assert {path.rsplit("/", 1)[1] for path in images} == {"B02.tif", "B04.tif", "SCL.tif"}
        assert f"in {len(images)} windows of {len(images)} images" in note
        sizes = {path: (tmp_path / path.removeprefix("/files/")).stat().st_size for path in images}
        told = float(note.split()[1]) * 1e6
        assert 0 < told < 0.2 * sum(sizes.values()), "a window of 1 in 16 blocks"
        assert told < server.sent() < 0.2 * sum(sizes.values())
        assert isinstance(source, Accounting) and bands_of(stack)["optical"] == ("B2", "B4")


def test_recipes_that_need_another_cloud_rule_are_refused(world: StacServer) -> None:
    wanted = replace(RECIPES["monthly-l2a"], cloud_rule="cloud-score-plus")
    with pytest.raises(RecipeError, match="cloud-score-plus"):
        open_source(f"stac+{world.url}", wanted)


@pytest.mark.parametrize("metres", [30, 120])
def test_clouds_beyond_a_tile_and_beyond_the_area_grow_into_it(
    real: StacServer, thinned: Path, metres: float
) -> None:
    """However an area is cut, and with whatever area a pixel was asked for, it has the same value."""
    recipe = replace(RECIPES["monthly-l2a"], cloud_dilation=metres)
    spring, optical = Calendar(date(2018, 3, 1), "month", 3), {"optical": ("B2", "B4")}
    grid = open_source(str(thinned)).grid
    assert grid is not None
    wide = open_source(f"stac+{real.url}", recipe, reading=Reading(optical)).open(grid, spring)
    expected = groups_of(wide.compute())["optical"].isel(y=slice(13, 50), x=slice(15, 55))
    for tile in (11, 40):
        source = open_source(f"stac+{real.url}", recipe, reading=Reading(optical, tile=tile))
        found = groups_of(source.open(grid[13:50, 15:55], spring).compute())["optical"]
        for name in found.data_vars:
            np.testing.assert_array_equal(found[name].values, expected[name].values, err_msg=str(name))
    counts = expected["count"]
    assert (counts.min(("y", "x")) < counts.max(("y", "x"))).any(), "clouds cross the area"
