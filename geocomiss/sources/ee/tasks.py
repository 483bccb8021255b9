"""Batch tasks of Earth Engine: started once whatever happens, listed, cancelled.

A request identifier makes the start of a task idempotent: of several requests with the same one only one
starts a task (https://developers.google.com/earth-engine/reference/rest/v1/projects.image/export).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import ee

from geocomiss.sources.ee.client import Client, grid_of_request
from geocomiss.sources.ee.failures import status_of
from geocomiss.sources.ee.tiler import Graph, Tile

FULL: Final = re.compile(r"too many tasks|tasks? already in the queue|queue is full", re.I)
"""Texts of the error of a queue that takes no more tasks."""
KNOWN: Final = re.compile(r"already[ _](exists|been (used|submitted))", re.I)
"""Texts of the error of a request identifier that has started a task."""
EXPRESSIONS: Final = 16
"""Encoded images that are kept."""
SHARD: Final = 256
"""Pixels a side of the blocks of a file."""

RUNNING: Final = frozenset({"PENDING", "RUNNING", "CANCELLING"})
"""States of tasks that are under way."""
SUCCEEDED: Final = "SUCCEEDED"
FAILED: Final = "FAILED"
CANCELLED: Final = "CANCELLED"


class QueueFull(Exception):
    """Earth Engine takes no further task at present."""


class AlreadyStarted(Exception):
    """A task of this request identifier has been started; it stands in the list."""


@dataclass(frozen=True)
class Operation:
    """What Earth Engine says of a task."""

    name: str
    """Its identifier, `projects/PROJECT/operations/ID`."""
    description: str
    """What it was called when it was started."""
    state: str
    """PENDING, RUNNING, SUCCEEDED, FAILED, CANCELLING or CANCELLED."""
    eecu_seconds: float
    """Computing that it has taken."""
    progress: float
    """0 to 1."""
    error: str
    """Why it failed, in Google's words; '' where it did not."""


@dataclass(frozen=True)
class Written:
    """How and where the file of a task is written."""

    destination: Mapping[str, Any]
    """`cloudStorageDestination` or `driveDestination` of the request."""
    nothing: int
    """Number that means "missing"."""


class Tasks:
    """The tasks of a project.

    Args:
        client: The connection.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._encoded: dict[str, Any] = {}

    def start(self, identifier: str, description: str, tile: Tile, written: Written) -> Operation:
        """Start a task, unless one of this identifier has been started.

        Args:
            identifier: At most 60 letters, digits and hyphens.
            description: At most 100 letters, digits, hyphens and underscores.
            tile: What is to be computed.
            written: Where it goes.

        Raises:
            QueueFull: There are as many tasks as Earth Engine allows.
            AlreadyStarted: There is one of this identifier.
            SourceError: It is refused.
        """
        asked = _request(description, self._expression(tile.graph), tile, written)

        def ask() -> Any:
            try:
                return ee.data.exportImage(identifier, asked)
            except ee.EEException as error:
                if FULL.search(str(error)):
                    raise QueueFull(str(error)) from error
                if status_of(error) == 409 or KNOWN.search(str(error)):
                    raise AlreadyStarted(description) from error
                raise

        return _operation(self._client.call(ask))

    def _expression(self, graph: Graph) -> Any:
        """An image as JSON: encoding takes longer than sending, and neighbouring tiles have the same."""
        if graph.digest not in self._encoded:
            if len(self._encoded) >= EXPRESSIONS:
                self._encoded.pop(next(iter(self._encoded)))
            self._encoded[graph.digest] = ee.serializer.encode(graph.image, for_cloud_api=True)
        return self._encoded[graph.digest]

    def every(self) -> list[Operation]:
        """All tasks of the user in the project that Earth Engine remembers.

        Raises:
            SourceError: The list does not come.
        """
        return [_operation(each) for each in self._client.call(ee.data.listOperations)]

    def one(self, name: str) -> Operation | None:
        """A task, or None where Earth Engine no longer remembers it.

        Raises:
            SourceError: It is refused.
        """

        def ask() -> Any:
            try:
                return ee.data.getOperation(name)
            except ee.EEException as error:
                if status_of(error) != 404:
                    raise
                return None

        told = self._client.call(ask)
        return None if told is None else _operation(told)

    def cancel(self, name: str) -> None:
        """Ask for a task to be cancelled; one that has ended stays as it is.

        Raises:
            SourceError: It is refused.
        """

        def ask() -> None:
            try:
                ee.data.cancelOperation(name)
            except ee.EEException as error:
                if status_of(error) != 400:  # it has ended meanwhile
                    raise

        self._client.call(ask)


def _request(description: str, expression: Any, tile: Tile, written: Written) -> dict[str, Any]:
    """An ExportImageRequest, numbers wrapped as the client library wraps them."""
    height, width = tile.grid.shape
    side = -(-max(height, width) // SHARD) * SHARD
    options = {
        "cloudOptimized": True,
        "noData": {"floatValue": written.nothing},
        "tileSize": {"value": SHARD},
        "tileDimensions": {"width": side, "height": side},  # one file, as far as we can choose
    }
    return {
        "expression": expression,
        "description": description,
        "grid": grid_of_request(tile.grid),
        "maxPixels": {"value": str(height * width)},
        "fileExportOptions": {"fileFormat": "GEO_TIFF", "geoTiffOptions": options, **written.destination},
    }


def _operation(told: Mapping[str, Any]) -> Operation:
    """As Earth Engine tells it; what is not told yet is nothing."""
    about: Mapping[str, Any] = told.get("metadata", {})
    return Operation(
        str(told.get("name", "")),
        str(about.get("description", "")),
        str(about.get("state", "PENDING")),
        float(about.get("batchEecuUsageSeconds", 0.0)),
        float(about.get("progress", 0.0)),
        str(told.get("error", {}).get("message", "")),
    )
