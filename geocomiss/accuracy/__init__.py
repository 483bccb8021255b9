"""How good a map is and how much of each class there is: draw a validation sample, assess with it."""

from geocomiss.accuracy.allocation import Allocation
from geocomiss.accuracy.assess import assess_map
from geocomiss.accuracy.clusters import ClusterReport, ClusterRequest, draw_clusters
from geocomiss.accuracy.columns import Design
from geocomiss.accuracy.draw import DesignReport, DesignRequest, Stratum, draw_sample
from geocomiss.accuracy.report import check_out, worded, write_assessment
from geocomiss.accuracy.request import (
    AreaEstimate,
    Assessment,
    AssessRequest,
    ClassFigures,
    Estimate,
    Figures,
    PointFound,
)

__all__ = [
    "Allocation",
    "AreaEstimate",
    "AssessRequest",
    "Assessment",
    "ClassFigures",
    "ClusterReport",
    "ClusterRequest",
    "Design",
    "DesignReport",
    "DesignRequest",
    "Estimate",
    "Figures",
    "PointFound",
    "Stratum",
    "assess_map",
    "check_out",
    "draw_clusters",
    "draw_sample",
    "worded",
    "write_assessment",
]
