"""Which images there are of an area and season: one small question a collection.

Granules of one pass of a satellite become one acquisition: they overlap, and would otherwise weigh twice.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final, TypeVar

import ee
import numpy as np
import shapely

from geocomiss.errors import SourceError
from geocomiss.seasons import Calendar
from geocomiss.sources.ee.client import Client
from geocomiss.sources.ee.kept import Kept, digest
from geocomiss.sources.ee.tables import CLOUD_SCORE, ERA5_LAND, S1, S2_L1C, Collection

Box = tuple[float, float, float, float]
"""West, south, east, north in degrees."""
OUTLINE: Final = "geocomiss_outline"
"""Property in which the outline of an image is handed back."""
NEAR: Final = 100.0
"""Metres by which an outline may be off."""
INDEX: Final = "system:index"
START: Final = "system:time_start"
CLOUD_COVER: Final = "CLOUDY_PIXEL_PERCENTAGE"
OPTICAL: Final = (
    INDEX,
    START,
    "DATATAKE_IDENTIFIER",
    "MGRS_TILE",
    "PROCESSING_BASELINE",
    "GENERATION_TIME",
    CLOUD_COVER,
    OUTLINE,
)
SUN: Final = ("MEAN_SOLAR_AZIMUTH_ANGLE", "MEAN_SOLAR_ZENITH_ANGLE")
"""Degrees."""
RADAR: Final = (INDEX, START, "platform_number", "orbitNumber_start", "orbitProperties_pass", OUTLINE)

Row = dict[str, Any]
Key = TypeVar("Key")


@dataclass(frozen=True)
class Granule:
    """One image."""

    id: str
    """Its full identifier."""
    outline: Any
    """Its footprint in longitude and latitude (shapely)."""
    cloud: float = 0.0
    """Per cent of cloud cover, of an optical one."""
    sun: tuple[float, float] = (0.0, 0.0)
    """Azimuth and zenith angle of the sun in degrees, of one of Level-1C."""

    @property
    def index(self) -> str:
        """Its identifier within its collection."""
        return self.id.rpartition("/")[2]


@dataclass(frozen=True)
class Acquisition:
    """What one pass of a satellite saw."""

    time: np.datetime64
    """When its first granule was taken."""
    granules: tuple[Granule, ...]
    """In the order in which they count where they overlap."""
    direction: str = ""
    """'ascending' or 'descending', of radar."""

    @property
    def outline(self) -> Any:
        """All footprints together (shapely)."""
        return shapely.union_all([granule.outline for granule in self.granules])

    def within(self, area: Any) -> "Acquisition | None":
        """With only the granules that meet an area (shapely), or None where none does."""
        met = tuple(granule for granule in self.granules if granule.outline.intersects(area))
        return replace(self, granules=met) if met else None


@dataclass(frozen=True)
class Optical:
    """Optical acquisitions of an area and season, and what was left out."""

    acquisitions: tuple[Acquisition, ...]
    """Oldest first."""
    cloudy: int = 0
    """Images with more cloud than is allowed."""
    older: int = 0
    """Images of which there is a newer version."""
    unscored: int = 0
    """Images without Cloud Score+, where that is asked for."""

    def notes(self, max_cloud: float) -> Iterable[str]:
        """What was left out, in words."""
        if self.cloudy:
            yield f"{self.cloudy} optical images with over {max_cloud:g} % cloud cover are left out"
        if self.older:
            yield f"{self.older} optical images are older versions of others: left out"
        if self.unscored:
            yield f"{self.unscored} optical images without Cloud Score+ are left out"


@dataclass(frozen=True)
class Listing:
    """Asks what there is, once for each area and season."""

    client: Client
    """Who answers."""
    kept: Kept
    """Where answers are kept, so that a run that goes on sees the same images."""

    def optical(self, collection: Collection, box: Box, season: Calendar, max_cloud: float) -> "Optical":
        """Sentinel-2 acquisitions of a collection, the newest version of each image."""
        columns = (*OPTICAL, *SUN) if collection is S2_L1C else OPTICAL
        rows = self._rows(collection, columns, box, season)
        clear = [row for row in rows if row[CLOUD_COVER] <= max_cloud]
        newest = _newest(clear)
        acquisitions = _acquisitions(collection, newest, _datatake)
        return Optical(acquisitions, len(rows) - len(clear), len(clear) - len(newest))

    def scored(self, found: "Optical", box: Box, season: Calendar) -> "Optical":
        """Only those images that Cloud Score+ has a score of: nothing would be known of the others."""
        images = ee.ImageCollection(CLOUD_SCORE.id).filterDate(str(season.start), str(season.end))
        area = ee.Geometry.Rectangle(list(box), None, False)
        there = frozenset(self._value(images.filterBounds(area).aggregate_array(INDEX)))
        kept, total = [], 0
        for each in found.acquisitions:
            total += len(each.granules)
            granules = tuple(one for one in each.granules if one.index in there)
            kept += [replace(each, granules=granules)] if granules else []
        unscored = total - sum(len(each.granules) for each in kept)
        return replace(found, acquisitions=tuple(kept), unscored=unscored)

    def radar(self, box: Box, season: Calendar, beyond: timedelta = timedelta(0)) -> tuple[Acquisition, ...]:
        """Sentinel-1 acquisitions of both directions: interferometric wide swath, VV and VH.

        Args:
            box: Where.
            season: When.
            beyond: And so long before and after.
        """
        rows = self._rows(S1, RADAR, box, season, _both_polarisations, beyond)
        return _acquisitions(S1, rows, lambda row: (row["platform_number"], row["orbitNumber_start"]))

    def months(self, season: Calendar) -> frozenset[str]:
        """Months (YYYYMM) of the weather that are there."""
        first, end = season.start.replace(day=1), season.end
        found = ee.ImageCollection(ERA5_LAND.id).filterDate(str(first), str(end))
        return frozenset(self._value(found.aggregate_array(INDEX)))

    def _rows(
        self,
        collection: Collection,
        columns: Sequence[str],
        box: Box,
        season: Calendar,
        narrowed: Callable[[ee.ImageCollection], ee.ImageCollection] = lambda found: found,
        beyond: timedelta = timedelta(0),
    ) -> list[Row]:
        """Properties of the images that meet a box in a season."""
        found = (
            ee.ImageCollection(collection.id)
            .filterDate(str(season.start - beyond), str(season.end + beyond))
            .filterBounds(ee.Geometry.Rectangle(list(box), None, False))
        )
        outlined = narrowed(found).map(
            lambda image: image.set(OUTLINE, ee.Image(image).geometry(NEAR).coordinates())
        )
        table = outlined.reduceColumns(ee.Reducer.toList(len(columns)), list(columns)).get("list")
        return [dict(zip(columns, row, strict=True)) for row in self._value(table)]

    def _value(self, expression: ee.ComputedObject) -> Any:
        key = digest("value", self.client.identity.url, expression.serialize())
        known = self.kept.value(key)
        if known is None:
            known = self.client.value(expression)
            self.kept.keep_value(key, known)
        return known


def _both_polarisations(found: ee.ImageCollection) -> ee.ImageCollection:
    """Images in the mode that covers land, with both bands."""
    bands = [ee.Filter.listContains("transmitterReceiverPolarisation", band) for band in S1.bands.values()]
    return found.filter(ee.Filter.And(ee.Filter.eq("instrumentMode", "IW"), *bands))


def _datatake(row: Row) -> str:
    """'GS2A_20190101T105431_018430' of 'GS2A_20190101T105431_018430_N02.11', whatever the processing."""
    return str(row["DATATAKE_IDENTIFIER"]).rpartition("_N")[0]


def _newest(rows: Sequence[Row]) -> list[Row]:
    """Of images of the same place and pass the one that was processed last."""
    best: dict[tuple[str, str], Row] = {}
    for row in sorted(rows, key=lambda row: (str(row["PROCESSING_BASELINE"]), row["GENERATION_TIME"])):
        best[_datatake(row), str(row["MGRS_TILE"])] = row
    return list(best.values())


def _acquisitions(
    collection: Collection, rows: Sequence[Row], key: Callable[[Row], Key]
) -> tuple[Acquisition, ...]:
    """Images of one pass together, oldest first; within it by name."""
    groups: dict[Key, list[Row]] = {}
    for row in sorted(rows, key=lambda row: str(row[INDEX])):
        groups.setdefault(key(row), []).append(row)
    found = [_acquisition(collection, group) for group in groups.values()]
    return tuple(sorted(found, key=lambda each: (each.time, each.granules[0].id)))


def _acquisition(collection: Collection, rows: Sequence[Row]) -> Acquisition:
    time = np.datetime64(int(min(row[START] for row in rows)), "ms").astype("datetime64[ns]")
    granules = tuple(_granule(collection, row) for row in rows)
    return Acquisition(time, granules, str(rows[0].get("orbitProperties_pass", "")).lower())


def _granule(collection: Collection, row: Row) -> Granule:
    sun = (float(row.get(SUN[0], 0.0)), float(row.get(SUN[1], 0.0)))
    cloud = float(row.get(CLOUD_COVER, 0.0))
    return Granule(f"{collection.id}/{row[INDEX]}", _outline(row[OUTLINE]), cloud, sun)


def _outline(coordinates: Any) -> Any:
    """A polygon, or several, from nested lists of coordinates (shapely)."""
    try:
        rings = coordinates
        while isinstance(rings[0][0][0], list):  # of several polygons: the outer rings of all
            rings = [ring for polygon in rings for ring in polygon]
        return shapely.make_valid(shapely.union_all([shapely.Polygon(ring) for ring in rings]))
    except (TypeError, IndexError, ValueError) as error:
        raise SourceError(
            "an image of Earth Engine without an outline",
            expected="a polygon",
            todo="report this with the area and season",
        ) from error
