"""The workflow of `geocomiss export collect`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from odc.geo.geobox import GeoBox

from geocomiss.errors import MapError, unwritable
from geocomiss.seasons import Calendar
from geocomiss.sources.exports.manifest import read_manifest
from geocomiss.sources.exports.source import ExportedSource
from geocomiss.sources.stored import StoredSource
from geocomiss.stack import bands_of, grid_of_stack, origin_of, write_stack

Progress = Callable[[int, int], None]
"""Told (steps done, steps in all)."""


@dataclass(frozen=True)
class CollectRequest:
    """The arguments of `geocomiss export collect`."""

    export: Path
    """Folder of the export."""
    out: Path
    """Stack to write."""
    files: str | None = None
    """Folder or `gs://bucket/prefix` of the GeoTIFFs; None: beside the manifest, else in the bucket."""
    overwrite: bool = False
    """Whether an existing stack may be replaced."""


@dataclass(frozen=True)
class CollectReport:
    """What was collected."""

    path: Path
    """The stack."""
    grid: GeoBox
    """Its pixel grid."""
    calendar: Calendar
    """Its time steps."""
    bands: dict[str, tuple[str, ...]]
    """Bands per modality."""
    notes: tuple[str, ...]
    """What a user should know."""


def files_to_download(folder: Path) -> tuple[str, ...]:
    """Names of the files that lie in Google Drive and not beside the manifest; () for a bucket.

    Raises:
        SourceError: No export.
    """
    manifest = read_manifest(folder)
    if manifest.destination.kind != "drive":
        return ()
    stems = [manifest.destination.stem(part.name) for part in manifest.parts]
    there = {path.name for path in folder.glob("*.tif")}
    return tuple(
        f"{stem}.tif"
        for stem in stems
        if f"{stem}.tif" not in there and not any(name.startswith(f"{stem}-") for name in there)
    )


def collect_export(request: CollectRequest, progress: Progress | None = None) -> CollectReport:
    """Write the stack of an export's GeoTIFFs, each of them looked at first.

    Args:
        request: What to collect.
        progress: Told (steps done, steps in all).

    Raises:
        GeocomissError: A file is missing, cannot be read, or is not what was asked for; a stack is there.
    """
    _check_free(request)
    source = ExportedSource(request.export, request.files)
    stack = source.stack
    try:
        write_stack(stack, request.out, progress, source.area)
    except OSError as error:
        raise unwritable(request.out, error) from error
    origin = origin_of(stack)
    grid = grid_of_stack(stack)
    return CollectReport(request.out, grid, origin.calendar, bands_of(stack), origin.notes)


def _check_free(request: CollectRequest) -> None:
    if request.out.exists() and not (request.overwrite and StoredSource.recognise(request.out)):
        raise MapError(
            f"{request.out} exists",
            expected="a new path, or a stack and --overwrite",
            todo="choose another --out",
        )
