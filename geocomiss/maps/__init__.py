"""Maps on disk: rasters with colours and class names, and what a map folder says about itself."""

from geocomiss.maps.cog import Statistics, write_cog, write_sparse_cog
from geocomiss.maps.collection import COLLECTION, CollectionFacts, map_collection
from geocomiss.maps.layers import (
    APPLICABILITY,
    EXPECTED_ACCURACY,
    INDEX_STEP,
    NOT_MAPPED,
    PROBABILITIES,
    STEP,
    Category,
    Layer,
    applicability,
    expected_accuracy,
    map_layers,
    ndvi_curve,
    probabilities,
    renamed,
    true_color,
)
from geocomiss.maps.legend import LEGEND, read_map_legend, write_legend
from geocomiss.maps.mosaic import PARTS, SUFFIX, Piece, mosaic_grid, write_mosaic
from geocomiss.maps.sidecar import read_categories
from geocomiss.maps.stac import (
    ITEM,
    MODEL_ITEM,
    Asset,
    MapFacts,
    ModelFacts,
    add_file_facts,
    map_item,
    model_item,
)
from geocomiss.maps.stated import classes_stated
from geocomiss.maps.style import QML_SUFFIX, write_style
from geocomiss.maps.summary import AREA_NOTE, SUMMARY, check_one_map, read_summary, zones_in

__all__ = [
    "APPLICABILITY",
    "AREA_NOTE",
    "COLLECTION",
    "EXPECTED_ACCURACY",
    "INDEX_STEP",
    "ITEM",
    "LEGEND",
    "MODEL_ITEM",
    "NOT_MAPPED",
    "PARTS",
    "PROBABILITIES",
    "QML_SUFFIX",
    "STEP",
    "SUFFIX",
    "SUMMARY",
    "Asset",
    "Category",
    "CollectionFacts",
    "Layer",
    "MapFacts",
    "ModelFacts",
    "Piece",
    "Statistics",
    "add_file_facts",
    "applicability",
    "check_one_map",
    "classes_stated",
    "expected_accuracy",
    "map_collection",
    "map_item",
    "map_layers",
    "model_item",
    "mosaic_grid",
    "ndvi_curve",
    "probabilities",
    "read_categories",
    "read_map_legend",
    "read_summary",
    "renamed",
    "true_color",
    "write_cog",
    "write_legend",
    "write_mosaic",
    "write_sparse_cog",
    "write_style",
    "zones_in",
]
