"""The workflow from an area of interest to a map: plan, tiles, assembly; one map for each UTM zone."""

from geocomiss.mapping.planning import plan_map
from geocomiss.mapping.request import MapReport, MapRequest
from geocomiss.mapping.zoned import make_map

__all__ = ["MapReport", "MapRequest", "make_map", "plan_map"]
