"""Maps on disk: rasters with colours and class names, and what a map folder says about itself."""

from geocomiss.maps.cog import write_cog
from geocomiss.maps.layers import Category, Layer
from geocomiss.maps.sidecar import read_categories
from geocomiss.maps.summary import AREA_NOTE, SUMMARY, read_summary

__all__ = ["AREA_NOTE", "SUMMARY", "Category", "Layer", "read_categories", "read_summary", "write_cog"]
