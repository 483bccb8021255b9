"""What is known of a map in the making: tiles begun, done and failed. Reads and writes no pixel."""

from geocomiss.tiling.counts import Counts
from geocomiss.tiling.folder import TILES, WorkFolder, changes
from geocomiss.tiling.lock import alone
from geocomiss.tiling.manifest import Manifest, Record
from geocomiss.tiling.status import MapStatus, read_status
from geocomiss.tiling.worries import Worries
from geocomiss.tiling.zoned import ZonedFolder, read_zones, zones_of_folder

__all__ = [
    "TILES",
    "Counts",
    "Manifest",
    "MapStatus",
    "Record",
    "WorkFolder",
    "Worries",
    "ZonedFolder",
    "alone",
    "changes",
    "read_status",
    "read_zones",
    "zones_of_folder",
]
