"""Batch exports of the loopback Earth Engine: a queue of tasks that write GeoTIFFs into a folder.

The folder plays the bucket or the Drive. Each time that the list of tasks is asked for, those that run end
and two of those that wait begin. Names, states and fields are those of
https://developers.google.com/earth-engine/reference/rest/v1/projects.operations and of
https://developers.google.com/earth-engine/guides/exporting_images (files that are split).
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from ee_evaluator import Evaluator, Image, Refused, Stored
from odc.geo.geobox import GeoBox

AT_A_TIME = 2
ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")


class Unknown(Exception):
    """What Earth Engine answers with status 404."""


@dataclass
class Task:
    name: str
    body: Mapping[str, Any]
    state: str = "PENDING"
    error: str = ""
    seconds: float = 0.0

    def told(self) -> dict[str, Any]:
        about = {
            "state": self.state,
            "description": self.body["description"],
            "type": "EXPORT_IMAGE",
            "progress": {"SUCCEEDED": 1, "RUNNING": 0.5}.get(self.state, 0),
            "batchEecuUsageSeconds": self.seconds,
            "requestId": self.body["requestId"],
        }
        done: dict[str, Any] = {"name": self.name, "metadata": about}
        if self.state in ENDED:
            done["done"] = True
        if self.error:
            done["error"] = {"code": 3, "message": self.error}
        return done


class Exports:
    """Tasks of one project. Settings: `folder` (where files go), `queue` (most tasks under way), `failing`
    (description -> how often it fails), `shard` (pixels a side at which files are split), `hold` (nothing
    moves), `forgets` (ended tasks are not listed), `duplicates` (a known request is refused, not answered).
    """

    def __init__(self, catalogue: Mapping[str, Stored]) -> None:
        self._catalogue = catalogue
        self._lock = threading.Lock()
        self.settings: dict[str, Any] = {}
        self.tasks: list[Task] = []

    def forget(self) -> None:
        self.tasks = []

    def answer(self, path: str, body: Mapping[str, Any]) -> Any:
        """What a request of tasks gets."""
        with self._lock:
            if path.endswith("image:export"):
                return self._begin(path, body)
            if path.endswith("/operations"):
                return self._list(body)
            name = path.partition("/projects/")[2].partition(":")[0]
            task = next((each for each in self.tasks if each.name == f"projects/{name}"), None)
            if task is None:
                raise Unknown(f"Operation {name} not found.")
            if path.endswith(":cancel"):
                if task.state in ENDED:
                    raise Refused("The operation has ended.")
                task.state = "CANCELLED"
                return {}
            return task.told()

    def _list(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """A page of three tasks, newest first."""
        first = int(asked.get("pageToken", ["0"])[0])
        if not first:
            self._step()
        listed = [t for t in reversed(self.tasks) if not (self.settings.get("forgets") and t.state in ENDED)]
        page: dict[str, Any] = {"operations": [task.told() for task in listed[first : first + 3]]}
        return page | ({"nextPageToken": str(first + 3)} if len(listed) > first + 3 else {})

    def _begin(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        for task in self.tasks:
            if task.body["requestId"] == body["requestId"]:
                if self.settings.get("duplicates"):
                    raise Refused("A task with this request id already exists.")
                return task.told()
        most = self.settings.get("queue", 3000)
        if sum(task.state not in ENDED for task in self.tasks) >= most:
            raise Refused(
                f"Too many tasks already in the queue ({most}). Please wait for some of them to complete."
            )
        _checked(body)
        project = path.partition("/projects/")[2].partition("/")[0]
        self.tasks.append(Task(f"projects/{project}/operations/T{len(self.tasks):04d}", body))
        return self.tasks[-1].told()

    def _step(self) -> None:
        if self.settings.get("hold"):
            return
        for task in self.tasks:
            if task.state == "RUNNING":
                self._run(task)
        for task in [task for task in self.tasks if task.state == "PENDING"][:AT_A_TIME]:
            task.state = "RUNNING"

    def _run(self, task: Task) -> None:
        task.seconds = 36.0
        failing = self.settings.get("failing", {})
        part = next((name for name in failing if f"-{name}-" in task.body["description"]), None)
        if part is not None and failing[part] > 0:
            failing[part] -= 1
            task.state, task.error = "FAILED", "Computation timed out."
            return
        self._write(task.body)
        task.state = "SUCCEEDED"

    def _write(self, body: Mapping[str, Any]) -> None:
        image = Evaluator(body["expression"], self._catalogue).result()
        assert isinstance(image, Image)
        options = body["fileExportOptions"]
        where = options.get("cloudStorageDestination") or options["driveDestination"]
        stem = Path(self.settings["folder"]) / where["filenamePrefix"]
        stem.parent.mkdir(parents=True, exist_ok=True)
        grid, kinds = grid_of(body["grid"]), {band.dtype for band in image.bands.values()}
        if len(kinds) > 1:
            raise Refused(f"Exported bands must have compatible data types; found {sorted(kinds)}.")
        planes = []
        for band in image.bands.values():
            values, valid = band.on(grid)
            planes.append(np.where(valid, values, options["geoTiffOptions"]["noData"]["floatValue"]))
        cube = np.stack(planes).astype(kinds.pop())
        side = self.settings.get("shard", options["geoTiffOptions"]["tileDimensions"]["width"])
        for top in range(0, grid.height, side):
            for left in range(0, grid.width, side):
                split = f"-{top:010d}-{left:010d}" if max(grid.shape) > side else ""
                part = grid[top : min(top + side, grid.height), left : min(left + side, grid.width)]
                values = cube[:, top : top + side, left : left + side]
                _write_tiff(Path(f"{stem}{split}.tif"), values, part, tuple(image.bands), options)


def _write_tiff(
    path: Path, values: Any, grid: GeoBox, names: tuple[str, ...], options: Mapping[str, Any]
) -> None:
    plain = path.with_suffix(".plain")
    told = {
        "driver": "GTiff",
        "height": grid.height,
        "width": grid.width,
        "count": len(names),
        "dtype": values.dtype,
        "crs": str(grid.crs),
        "transform": grid.affine,
        "nodata": options["geoTiffOptions"]["noData"]["floatValue"],
        "interleave": "pixel",
    }
    with rasterio.open(plain, "w", **told) as file:
        file.write(values)
        file.descriptions = names
    rasterio.shutil.copy(plain, path, driver="COG", COMPRESS="LZW", BLOCKSIZE=256)
    plain.unlink()


def _checked(body: Mapping[str, Any]) -> None:
    """Refuse what Earth Engine would, and what would leave it a choice."""
    options = body["fileExportOptions"]
    tiff = options["geoTiffOptions"]
    side = tiff["tileDimensions"]
    if options["fileFormat"] != "GEO_TIFF" or not tiff["cloudOptimized"]:
        raise Refused("TEST SERVER: a cloud-optimized GeoTIFF is expected.")
    if any(side[each] % tiff["tileSize"]["value"] for each in ("width", "height")):
        raise Refused("fileDimensions must be a multiple of shardSize.")
    grid = grid_of(body["grid"])
    if grid.height * grid.width > int(body["maxPixels"]["value"]):
        raise Refused("Export too large: specified more pixels than maxPixels.")
    if len(body["requestId"]) > 60 or len(body["description"]) > 100:
        raise Refused("requestId or description is too long.")


def grid_of(told: Mapping[str, Any]) -> GeoBox:
    """The grid of a request; every field must be there."""
    at, size = told["affineTransform"], told["dimensions"]
    affine = Affine(*(at[k] for k in ("scaleX", "shearX", "translateX", "shearY", "scaleY", "translateY")))
    return GeoBox((size["height"], size["width"]), affine, told.get("crsCode") or told["crsWkt"])
