"""What compositing is reckoned to take is what it takes, and tiles follow from it."""

import tracemalloc
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from stac_season import model_for
from stac_server import StacServer

from geocomiss.errors import NothingSeen
from geocomiss.mapping import MapRequest, make_map, plan_map
from geocomiss.recipes import RECIPES
from geocomiss.seasons import Calendar
from geocomiss.sources.base import Scenes
from geocomiss.sources.passes import Directions, cells_of
from geocomiss.sources.stac.blocks import Observation, Piece, Series
from geocomiss.sources.stac.catalogues import CLASSES, PRODUCTS
from geocomiss.sources.stac.load import scenes_of

APRIL = Calendar(date(2021, 4, 1), "month", 1)
FOOTPRINT = shapely.box(0, 45, 10, 55)


class Item:
    """Nothing of it is looked at here."""

    id = "item"
    assets: ClassVar[dict[str, Any]] = {}


class Images:
    """Answers with clear land at once."""

    ledger: Any = type("Ledger", (), {"saw": lambda *_: None})()

    def read(self, items: Any, product: Any, bands: Any, grid: GeoBox) -> dict[str, NDArray[Any]]:
        shape = (len(items), *grid.shape)
        kind = np.uint16 if product.modality == "optical" else np.float32
        return {name: np.full(shape, 4, np.uint8 if name == CLASSES else kind) for name in bands}


def series(modality: str, scenes: int, images: int, bands: int) -> Series:
    key = next(key for key, each in PRODUCTS.items() if each.modality == modality)
    pieces = tuple(Piece(Item(), key, 0, FOOTPRINT) for _ in range(images))  # type: ignore[arg-type]
    days = (np.datetime64(f"2021-04-{day:02d}", "ns") for day in range(1, scenes + 1))
    return Series(
        modality,
        tuple(Observation(day, pieces, "ascending") for day in days),
        PRODUCTS[key].bands[:bands],
        Images(),  # type: ignore[arg-type]
        APRIL,
        RECIPES["monthly-l2a"],
        10.0,
        Directions(dict.fromkeys(cells_of((0, 45, 10, 55)), "ascending")),
    )


@pytest.mark.parametrize(
    ("modality", "scenes", "images", "bands"),
    [
        *(("optical", *each) for each in ((4, 1, 4), (12, 1, 4), (8, 2, 10), (8, 1, 1), (4, 6, 4))),
        *(("radar", *each) for each in ((4, 1, 2), (8, 2, 2), (8, 1, 1), (2, 8, 2))),
    ],
)
def test_no_step_takes_more_than_it_is_reckoned_to(
    modality: str, scenes: int, images: int, bands: int
) -> None:
    made = series(modality, scenes, images, bands)
    block = GeoBox.from_bbox((600_000, 5_600_000, 602_560, 5_602_560), "EPSG:32631", resolution=10)
    made.step(block, 0)
    tracemalloc.start()
    made.step(block, 0)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    found = scenes_of([made], block)
    assert found is not None and (found.side, found.blocks) == (512, 4)
    one = found.taken(256) / found.blocks
    assert 0.4 * one < most < one


def test_what_meets_a_place_in_one_step_counts_and_nothing_else() -> None:
    whole = series("optical", 4, 1, 4)
    grid = GeoBox.from_bbox((600_000, 5_600_000, 640_000, 5_640_000), "EPSG:32631", resolution=10)
    found = scenes_of([whole], grid)
    far = [
        Observation(each.time, (Piece(Item(), "s2", 0, shapely.box(20, 45, 30, 55)),))  # type: ignore[arg-type]
        for each in whole.observations
    ]
    later = [Observation(np.datetime64("2021-05-03", "ns"), each.pieces) for each in whole.observations]
    for other in (far, later):
        object.__setattr__(whole, "observations", (*whole.observations[:4], *other))
        assert scenes_of([whole], grid) == found
    assert scenes_of([], grid) is None
    assert found is not None and found.taken(64) < found.taken(512) == found.taken(2048)


def test_a_map_from_a_catalogue_counts_what_compositing_takes(world: StacServer, tmp_path: Path) -> None:
    asked = {"aoi": "4.98,50.617,4.985,50.62", "season": "2021", "device": "cpu"}
    model = str(model_for(tmp_path))
    request = MapRequest(f"stac+{world.url}", tmp_path / "map", model=model, memory=1_200_000_000, **asked)  # type: ignore[arg-type]
    plan = plan_map(request)
    assert plan.memory is not None and isinstance(plan.memory.scenes, Scenes)
    alone = plan.memory.process + plan.memory.pixel * plan.request.tile**2
    assert alone < plan.memory.taken(plan.request.tile) <= 1_200_000_000
    assert plan.source.query.reading.tile == plan.request.tile  # type: ignore[attr-defined]


def test_a_catalogue_without_images_of_the_season_is_named(world: StacServer, tmp_path: Path) -> None:
    request = MapRequest(
        f"stac+{world.url}",
        tmp_path / "map",
        aoi="4.98,50.617,4.981,50.6175",
        season="2019",
        model=str(model_for(tmp_path)),
        require=(),
        without=("topography",),
    )
    with pytest.raises(
        NothingSeen, match=rf"source stac\+{world.url} without a .*no acquisition in the whole"
    ):
        make_map(request)
    assert not request.out.exists()
