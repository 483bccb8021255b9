"""Batch exports of Earth Engine: one task a tile, started once, watched, and collected into a stack."""

from geocomiss.exporting.collect import CollectReport, CollectRequest, collect_export, files_to_download
from geocomiss.exporting.request import ExportRequest, Limits
from geocomiss.exporting.start import StartReport, start_export
from geocomiss.exporting.state import State
from geocomiss.exporting.watch import cancel_export, state_of_export, wait_for_export

__all__ = [
    "CollectReport",
    "CollectRequest",
    "ExportRequest",
    "Limits",
    "StartReport",
    "State",
    "cancel_export",
    "collect_export",
    "files_to_download",
    "start_export",
    "state_of_export",
    "wait_for_export",
]
