"""Looking at a finished map: a picture for a report, and a page that opens in any browser offline."""

from geocomiss.viewing.opened import OpenedMap, open_map_to_view
from geocomiss.viewing.preview import write_preview
from geocomiss.viewing.report import write_report
from geocomiss.viewing.view import PREVIEW, REPORT, ViewReport, ViewRequest, view_map

__all__ = [
    "PREVIEW",
    "REPORT",
    "OpenedMap",
    "ViewReport",
    "ViewRequest",
    "open_map_to_view",
    "view_map",
    "write_preview",
    "write_report",
]
