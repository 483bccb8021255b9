"""What lies beside the rasters of a map, so that it opens right everywhere: legend and STAC Items."""

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from geocomiss import __version__
from geocomiss.errors import unwritable
from geocomiss.grid import crs_of, crs_text
from geocomiss.mapping.plan import Plan, classes_of
from geocomiss.maps import (
    ITEM,
    LEGEND,
    MODEL_ITEM,
    QML_SUFFIX,
    SUMMARY,
    Asset,
    MapFacts,
    ModelFacts,
    add_file_facts,
    map_item,
    model_item,
    write_legend,
)
from geocomiss.maps.stac import JSON_TYPE
from geocomiss.sources.base import Listing
from geocomiss.stack import origin_of

QML_TYPE: Final = "application/xml"
"""Media type of a style."""


def write_sidecars(folder: Path, plan: Plan, assets: tuple[Asset, ...]) -> None:
    """Write the legend and the STAC Items of a map and its model.

    Args:
        folder: Where the rasters lie.
        plan: The map.
        assets: Its rasters.

    Raises:
        MapError: It cannot be written.
    """
    try:
        write_legend(folder / LEGEND, classes_of(plan.checkpoint.card), plan.classes)
        item = map_item(_map_facts(plan, assets))
        add_file_facts(item, folder)
        _write_json(folder / ITEM, item)
        _write_json(folder / MODEL_ITEM, model_item(_model_facts(plan)))
    except OSError as error:
        raise unwritable(folder, error) from error


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _map_facts(plan: Plan, assets: tuple[Asset, ...]) -> MapFacts:
    card, origin = plan.checkpoint.card, origin_of(plan.stack)
    styles = {f"{each.layer.name}{QML_SUFFIX}": ("style for QGIS", QML_TYPE) for each in assets}
    place = [
        crs_text(crs_of(plan.grid)),
        *plan.grid.affine,
        *plan.grid.shape,
        card.model_sha256,
        origin.source,
    ]
    return MapFacts(
        grid=plan.grid,
        first_day=plan.calendar.start,
        last_day=plan.calendar.last_day,
        assets=assets,
        files={
            LEGEND: ("legend", "text/csv"),
            SUMMARY: ("areas, season, source, model, warnings, versions", JSON_TYPE),
            **styles,
        },
        software={"geocomiss": __version__, "torch": version("torch")},
        lineage=f"{card.method} on {origin.source}, recipe {origin.recipe.name}: class of each pixel from "
        f"whatever modalities it has{_cleaned(plan)}",
        sources=plan.source.items if isinstance(plan.source, Listing) else (),
        digest=hashlib.sha256(json.dumps(place).encode()).hexdigest(),
    )


def _cleaned(plan: Plan) -> str:
    """How the classes were cleaned up afterwards, in words; empty where they were not."""
    smooth, done = plan.request.smooth, plan.dissolved
    said = f"; smoothed over {smooth} x {smooth} pixels (empirical Bayes)" if smooth else ""
    if done:
        said += (
            f"; patches below {done['hectares']:g} ha ({done['pixels']} pixels) took the class of their "
            f"largest neighbour ({done['changed_pixels']} pixels)"
        )
    return said


def _model_facts(plan: Plan) -> ModelFacts:
    card = plan.checkpoint.card
    return ModelFacts(
        method=card.method,
        sha256=card.model_sha256,
        cells=() if card.simulated else card.training.cells,
        years=card.training.years,
        season=(plan.calendar.start, plan.calendar.last_day),
        inputs={name: (plan.spec.shape(name)[0], bands) for name, bands in card.bands.items()},
        classes=classes_of(card),
        framework_version=version("torch").split("+")[0],
        trained_on=card.training.table,
    )
