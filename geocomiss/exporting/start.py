"""The workflow of `geocomiss export start`."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final
from uuid import uuid4

from odc.geo.geobox import GeoBox

from geocomiss.aoi import Area, read_aoi
from geocomiss.covering import Covering
from geocomiss.errors import MapError, SeasonError, SourceError
from geocomiss.exporting.queue import Queue, Sent
from geocomiss.exporting.request import ExportRequest, digest_of, wanted_by
from geocomiss.exporting.state import Journal, State, state_of
from geocomiss.exporting.watch import check_address
from geocomiss.grid import crs_of, crs_text
from geocomiss.seasons import Calendar
from geocomiss.sources.base import Reading
from geocomiss.sources.ee.pieces import Piece, pieces
from geocomiss.sources.ee.source import TRIALS, EarthEngineSource
from geocomiss.sources.exports.manifest import MANIFEST, Manifest, read_manifest, write_manifest
from geocomiss.sources.resolve import future_steps, resolve_grid, resolve_season
from geocomiss.tiling import alone

Progress = Callable[[int, int], None]
"""Told (tasks started, tasks to start)."""
LOCK: Final = "start.lock"
"""File that the starting process holds locked: the system lets go of it however the process ends."""


@dataclass(frozen=True)
class StartReport:
    """What was started."""

    manifest: Manifest
    """The export."""
    state: State
    """What has become of it."""
    sent: Sent
    """What was started just now."""
    notes: tuple[str, ...]
    """What a user should know."""


@dataclass(frozen=True)
class _Plan:
    """What an export is made of."""

    request: ExportRequest
    source: EarthEngineSource
    area: Area
    grid: GeoBox
    calendar: Calendar
    bands: dict[str, tuple[str, ...]] | None

    @cached_property
    def covering(self) -> Covering:
        """The area on the grid."""
        return Covering(self.area.geometry, self.grid)

    def wanted(self, block: GeoBox) -> bool:
        """Whether a tile has a pixel of the area."""
        return bool(self.covering.inside(block).any())

    def asked(self) -> str:
        """Digest of everything that decides the files."""
        wanted = self.request
        return digest_of(
            {
                "area": hashlib.sha256(self.area.geometry.geom.wkb).hexdigest(),
                "grid": [crs_text(crs_of(self.grid)), *self.grid.affine[:6], *self.grid.shape],
                "season": str(self.calendar),
                "recipe": asdict(self.source.recipe),
                "bands": self.source.bands,
                "max_cloud": wanted.max_cloud,
                "s1_pass": wanted.ee.s1_pass,
                "tile": wanted.tile,
                "destination": asdict(wanted.destination),
                "project": self.source.project,
            }
        )


def start_export(request: ExportRequest, progress: Progress | None = None) -> StartReport:
    """Queue a task for every tile that has none; called again, it goes on and starts none twice.

    Args:
        request: What to export.
        progress: Told (tasks started, tasks to start).

    Raises:
        GeocomissError: Input that cannot be used, a folder of another export or in which another process
            starts one, or Earth Engine refuses.
    """
    if (request.out / MANIFEST).exists():
        check_address(read_manifest(request.out), request.ee)
    plan = _plan(request)
    with _held(request.out):
        manifest, made = _manifest(plan)
        journal = Journal(request.out)
        queue = Queue(manifest, journal, plan.source, made)
        sent = queue.send(request.limits, asked=True, progress=progress)
    notes = (*plan.area.notes, *manifest.origin.notes, *future_steps(plan.calendar))
    return StartReport(manifest, state_of(manifest, journal), sent, notes)


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Keep other processes from starting: two that find no manifest would start every task twice.

    Raises:
        MapError: Another one is in, or the folder cannot be written.
    """
    taken = MapError(
        f"another process is starting an export in {folder}",
        expected="one at a time",
        todo=f"wait for it, then see `geocomiss export status {folder}`, or choose another --out",
    )
    # lists of images that have come before it is begun stay, and serve the next try
    with alone(folder / LOCK, folder, taken, (folder / MANIFEST).exists):
        yield


def _plan(request: ExportRequest) -> _Plan:
    _ = request.destination  # refused before anything is asked
    recipe, cycle, wanted = wanted_by(request.model, request.recipe, request.without)
    if request.cloud_dilation is not None:
        recipe = replace(recipe, cloud_dilation=request.cloud_dilation)
    area = read_aoi(request.aoi)
    options = replace(request.ee, max_eecu_hours=None, max_requests=None)
    reading = Reading(wanted, request.max_cloud, ee=options, keep=request.kept)
    source = EarthEngineSource(recipe, reading)
    grid = resolve_grid(source, area.geometry, request.crs, request.resolution)
    calendar = resolve_season(request.season, source, cycle, exact=request.model is not None)
    if calendar is None:
        raise SeasonError("no season", expected="--season, for example 2021", todo="say which to export")
    return _Plan(request, source, area, grid, calendar, wanted)


def _manifest(plan: _Plan) -> tuple[Manifest, dict[str, Piece]]:
    """The export of the folder, and its pieces as far as they are known; begun where there is none."""
    folder = plan.request.out
    if (folder / MANIFEST).exists():
        manifest = read_manifest(folder)
        if manifest.asked != plan.asked():
            raise MapError(
                f"{folder} holds another export",
                expected="a new folder, or the command that began it",
                todo="choose another --out",
            )
        return manifest, {}
    made = {
        piece.part.name: piece
        for piece in pieces(plan.source, plan.grid, plan.calendar, plan.request.tile, plan.wanted)
    }
    if not made:
        raise SourceError(
            "nothing to export: no image of the area and season",
            expected="at least one",
            todo="check --aoi and --season",
        )
    _check_cost(plan)
    manifest = Manifest(
        run=str(uuid4()),
        asked=plan.asked(),
        project=plan.source.project,
        destination=plan.request.destination,
        grid=plan.grid,
        side=plan.request.tile,
        origin=plan.source.origin(plan.grid, plan.calendar),
        bands=plan.source.bands,
        wanted=plan.bands,
        max_cloud=plan.request.max_cloud,
        s1_pass=plan.request.ee.s1_pass,
        parts=tuple(piece.part for piece in made.values()),
        ee_url=plan.source.client.identity.url,  # refused before where there is a secret in it
        area=plan.area.geometry,
    )
    write_manifest(manifest, folder)
    return manifest, made


def _check_cost(plan: _Plan) -> None:
    """Refuse to begin what would take more computing than is allowed, by an estimate from trials.

    Raises:
        SourceError: By the estimate it would.
    """
    most = plan.request.limits.eecu_hours
    if most is None:
        return
    needs = list(plan.source.needs(plan.grid, plan.calendar, plan.wanted))
    found = plan.source.estimate(needs, TRIALS, anew=True)
    hours = found.eecu_hours or 0.0
    if hours > most:
        raise SourceError(
            f"an estimate of {hours:.3g} EECU-hours for the export",
            expected=f"at most --max-eecu-hours {most:g}",
            todo="raise it, or take a smaller area or a shorter season",
        )
