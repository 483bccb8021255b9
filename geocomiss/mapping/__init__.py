"""The workflow from an area of interest to a map: plan, tiles, assembly."""

from geocomiss.mapping.fetch import FetchRequest, fetch_stack
from geocomiss.mapping.plan import plan_map
from geocomiss.mapping.request import MapReport, MapRequest
from geocomiss.mapping.run import make_map

__all__ = ["FetchRequest", "MapReport", "MapRequest", "fetch_stack", "make_map", "plan_map"]
