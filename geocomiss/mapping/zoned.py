"""Map an area of interest: one map or, where it lies in several UTM zones, one for each and one over all."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from geocomiss.aoi import read_aoi
from geocomiss.checkpoint import read_checkpoint
from geocomiss.errors import (
    GeocomissError,
    MapError,
    NothingSeen,
    NothingToMap,
    SourceError,
    StackError,
    TilesFailed,
)
from geocomiss.mapping.clock import Clock
from geocomiss.mapping.over import Lacking, Mapped, write_over
from geocomiss.mapping.plan import Plan
from geocomiss.mapping.planning import model_name, plan_map, source_of
from geocomiss.mapping.queue import ENDING, TRY_AGAIN, reason_of
from geocomiss.mapping.request import MapReport, MapRequest, Progress
from geocomiss.mapping.run import check_free, map_one
from geocomiss.maps import PARTS, SUMMARY, read_summary, zones_in
from geocomiss.sources.resolve import DEFAULT_RESOLUTION
from geocomiss.sources.zoned import stacks_in
from geocomiss.tiling import TILES, ZonedFolder, changes, zones_of_folder
from geocomiss.zones import Zone, zones_of

ALONE: Final = "smoothing and the minimum mapping unit look at each zone by itself: patches end at its border"
"""What to know of neighbourhoods."""


def make_map(request: MapRequest, progress: Progress | None = None) -> MapReport:
    """Map an area of interest and write the map's folder.

    An interrupted map goes on where it stopped when called again with equal arguments, and asks a metered
    source for nothing that has come already. A tile that fails is tried again after the others.

    Where the area lies in several UTM zones and neither a CRS nor the grid of a local stack is to be kept,
    each zone gets a map in a folder of its own, and the map's folder what shows them together.

    Args:
        request: What to map.
        progress: Told (pixels mapped, pixels to be mapped).

    Raises:
        GeocomissError: Input that cannot be used; nothing half-written stays, except finished
            tiles under `tiles/`.
        TilesFailed: Some tiles failed again and again; the others are done.
    """
    stacks = _stacks_of(request)
    if zones := zones_asked(request):
        return _Zoned(request, zones, progress, stacks).make()
    if stacks:  # a part of the area that was fetched, within one zone
        request = replace(request, source=str(next(iter(stacks.values()))))
    folder = ZonedFolder(request.out)
    if folder.planned() and not request.overwrite:
        folder.begin((), "", give_up=False, replace=False)  # refuses
    before, old = zones_of_folder(request.out), _files_in(request)
    report, _ = map_one(request, progress)
    if before:
        _forget(request, before, set(old) - set(report.files))
        shutil.rmtree(request.out / PARTS, ignore_errors=True)
        folder.leave()
    return report


def zones_asked(request: MapRequest) -> tuple[Zone, ...]:
    """The UTM zones that get a map each; none where there is one map.

    Raises:
        MapError: What is asked for holds for a single map.
    """
    if request.aoi is None or request.crs != "auto" or request.zone is not None:
        return ()
    zones = zones_of(read_aoi(request.aoi).geometry)
    if len(zones) < 2:
        return ()
    if stacks_in(Path(request.source)):
        return zones
    card = read_checkpoint(model_name(request)).card
    if source_of(request, card).grid is not None:
        return ()
    if request.ee.max_requests is not None or request.ee.max_eecu_hours is not None:
        raise MapError(
            f"--max-requests or --max-eecu-hours for an area in {len(zones)} UTM zones",
            expected="one map: limits hold for a map, and each zone has its own",
            todo="leave the limit out, give --crs, or map the zones one after the other, each to an --out",
        )
    return zones


def _stacks_of(request: MapRequest) -> dict[str, Path]:
    """The stacks of the area's zones, where the source is a folder with one for each; else none.

    Raises:
        MapError: They do not fit what is asked for.
    """
    stacks = stacks_in(Path(request.source))
    if not stacks:
        return {}
    if request.aoi is None or request.crs != "auto":
        raise MapError(
            f"{'no --aoi' if request.aoi is None else '--crs'} for the stacks of {len(stacks)} UTM zones",
            expected="--aoi, as they were fetched with, and no --crs: each keeps its own grid",
            todo=f"correct it, or give one of them: {' or '.join(map(str, stacks.values()))}",
        )
    names = [zone.name for zone in zones_of(read_aoi(request.aoi).geometry)]
    if lacking := [name for name in names if name not in stacks]:
        raise MapError(
            f"an area in {', '.join(lacking)}, of which {request.source} holds no stack",
            expected=f"an area in {' or '.join(stacks)}",
            todo="check --aoi, or fetch its stacks",
        )
    return {name: stacks[name] for name in names}


@dataclass
class _Zoned:
    """A map of several zones in the making."""

    request: MapRequest
    zones: tuple[Zone, ...]
    progress: Progress | None
    stacks: dict[str, Path]
    """The stack of each zone, where each has its own."""
    clock: Clock = field(default_factory=Clock)
    mapped: dict[str, Mapped] = field(default_factory=dict)
    """What was mapped, by zone."""
    nothing: dict[str, GeocomissError] = field(default_factory=dict)
    """Why zones have no map, by zone."""
    failed: dict[str, Exception] = field(default_factory=dict)
    """What failed, by zone: some tiles, or all that was tried of it."""

    def make(self) -> MapReport:
        """Map the zones that are not finished yet, then write what shows all of them."""
        request, folder = self.request, ZonedFolder(self.request.out)
        unfinished = zones_of_folder(request.out)  # of another area, too, where it is given up
        check_free(request.out, SUMMARY, request.overwrite, "a finished map")
        area = b"".join(zone.part.geom.wkb for zone in self.zones)
        names = tuple(zone.name for zone in self.zones)
        # tiles or zones that failed may be the only reason to replace it
        lacking = folder.failed() or any((request.out / zone / TILES).exists() for zone in names)
        digest = hashlib.sha256(area).hexdigest()[:16]
        folder.begin(names, digest, give_up=request.overwrite, replace=request.overwrite and not lacking)
        try:
            for zone in self.zones:
                self._map(zone, folder)
        finally:
            if not any((request.out / zone).exists() for zone in names):
                folder.leave()  # nothing is to be gone on with
        self._check()
        before, old = zones_in(request.out), _files_in(request)
        report = write_over(request, self.zones, self.mapped, self._lacking(), self._notes(), self.clock)
        gone = {*before, *unfinished} - {*self.mapped, *self.failed}
        _forget(request, tuple(gone), set(old) - set(report.files))
        shutil.rmtree(request.out / TILES, ignore_errors=True)
        folder.leave()
        return report

    def _map(self, zone: Zone, folder: ZonedFolder) -> None:
        """Map a zone, or keep what is finished of it."""
        part = replace(self.request, zone=zone.name, out=self.request.out / zone.name)
        if self.stacks:
            part = replace(part, source=str(self.stacks[zone.name]))
        try:
            if folder.done(zone.name) and (plan := _kept(part)):
                self.mapped[zone.name] = Mapped(plan, None)
                return
            # a map without tiles that failed is replaced, but never tiles made with other arguments
            report, plan = map_one(part, self._told(zone), again=(part.out / TILES).is_dir())
        except (NothingToMap, NothingSeen) as error:
            self.nothing[zone.name] = error
        except Exception as error:  # whatever it is, other zones may be none the worse for it
            if _ends(error):
                raise
            self.failed[zone.name] = error
            folder.note_failure(zone.name, reason_of(error))
        else:
            self.mapped[zone.name] = Mapped(plan, report)
            self.clock.add({}, report.computed)
            self.clock.mapped += report.computed / report.px_per_s if report.px_per_s else 0.0
            if not report.failed:
                folder.note(zone.name)

    def _check(self) -> None:
        """See to it that all zones are there, or some where a map without the others is asked for.

        Raises:
            TilesFailed: In some of them tiles failed.
            GeocomissError: There is nothing to map in any.
            Exception: What failed first, where no zone has a finished tile: it is not the zones.
        """
        if self.failed and not (self.mapped and self.request.skip_failed):
            first = next(iter(self.failed.values()))
            told = next((each for each in self.failed.values() if isinstance(each, TilesFailed)), None)
            if not (self.mapped or told):
                raise first
            raise TilesFailed(
                "; ".join(f"{name}: {reason_of(error)}" for name, error in self.failed.items()),
                expected=told.expected if told else "input that can be read",
                todo=told.todo if told else TRY_AGAIN,
            ) from first
        if not self.mapped:
            raise next(iter(self.nothing.values()))

    def _lacking(self) -> Lacking:
        """The zones of the area that have no map."""
        return Lacking(
            {name: reason_of(error) for name, error in self.failed.items()},
            tuple(name for name, error in self.nothing.items() if isinstance(error, NothingSeen)),
        )

    def _notes(self) -> tuple[str, ...]:
        """What to know of a map of several zones."""
        names = ", ".join(f"{zone.name} ({zone.crs})" for zone in self.zones)
        notes = [
            f"the area lies in {len(self.zones)} UTM zones, a map each: {names}; --crs makes one map "
            "in a single CRS"
        ]
        notes += [f"{name} has no map: {error.found}" for name, error in self.nothing.items()]
        return (*notes, ALONE) if self.request.smooth or self.request.mapping_unit else tuple(notes)

    def _told(self, zone: Zone) -> Callable[[int, int], None] | None:
        """Progress of a zone as progress of all, by the zones' areas."""
        if self.progress is None:
            return None
        areas = {each.name: _square_metres(each) for each in self.zones}
        whole = sum(areas.values())
        before = sum(areas[each.name] for each in self.zones if each.number < zone.number)
        side, tell = self.request.resolution or DEFAULT_RESOLUTION, self.progress
        pixels = max(1, round(whole / side**2))

        def told(done: int, total: int) -> None:
            tell(round(pixels * (before + areas[zone.name] * done / max(total, 1)) / whole), pixels)

        return told


def _ends(error: Exception) -> bool:
    """Whether an error has nothing to do with the zone: arguments that fit none, a full disk, no memory."""
    if isinstance(error, TilesFailed | StackError):
        return False
    own = isinstance(error, GeocomissError) and not isinstance(error, SourceError)
    return own or isinstance(error, ENDING)


def _square_metres(zone: Zone) -> float:
    return max(1.0, float(zone.part.to_crs(zone.crs).area))


def _kept(part: MapRequest) -> Plan | None:
    """The plan of a zone that is finished; None where it is to be mapped once more.

    Raises:
        MapError: It was mapped with other arguments.
    """
    if (part.out / TILES).is_dir():  # tiles failed that may work now
        return None
    plan = plan_map(part)
    now = json.loads(json.dumps(plan.fingerprint()))
    try:
        before = read_summary(part.out).get("arguments", {})
    except MapError:
        if not part.overwrite:
            raise
        before = {}
    if before == now:
        return plan
    if part.overwrite:
        return None
    raise MapError(
        f"{part.out} holds a map with other arguments ({'; '.join(changes(before, now))})",
        expected="the same arguments, to go on with the other zones",
        todo="give them, choose another --out, or start afresh with --overwrite",
    )


def _files_in(request: MapRequest) -> tuple[str, ...]:
    """Files of the map that is replaced."""
    try:
        files = read_summary(request.out).get("files", [])
    except MapError:
        return ()
    return tuple(str(each) for each in files)


def _forget(request: MapRequest, zones: tuple[str, ...], files: set[str]) -> None:
    """Delete what a map that was replaced has left: zones, and files that the new one does not have."""
    for zone in zones:
        shutil.rmtree(request.out / zone, ignore_errors=True)
    for name in files:
        if Path(name).name == name:  # never beyond the folder, whatever its summary says
            (request.out / name).unlink(missing_ok=True)
