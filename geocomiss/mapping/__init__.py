"""The workflow from an area of interest to a map: plan, tiles, assembly."""

from geocomiss.mapping.planning import plan_map
from geocomiss.mapping.request import MapReport, MapRequest
from geocomiss.mapping.run import make_map

__all__ = ["MapReport", "MapRequest", "make_map", "plan_map"]
