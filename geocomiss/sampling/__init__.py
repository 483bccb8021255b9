"""Sampling: a user's own points and polygons as labelled pixel series that a model is trained on."""

from geocomiss.sampling.request import EDGE, PER_POLYGON, TILE, LeftOut, SamplingReport, SamplingRequest
from geocomiss.sampling.run import sample_points

__all__ = [
    "EDGE",
    "PER_POLYGON",
    "TILE",
    "LeftOut",
    "SamplingReport",
    "SamplingRequest",
    "sample_points",
]
