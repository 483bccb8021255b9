"""A small Earth Engine catalogue: overlapping granules, clouds, swath edges, gaps, two radar directions.

The same arrays serve the loopback Earth Engine and, mosaicked the obvious way, our local compositing.
"""

from calendar import monthrange
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import shapely
from affine import Affine
from ee_evaluator import Stored, centres
from numpy.typing import NDArray
from odc.geo.geobox import GeoBox
from pyproj import Transformer
from scipy.ndimage import gaussian_filter

GRID = GeoBox((44, 38), Affine(10, 0, 640_000, 0, -10, 5_610_000), "EPSG:32631")
"""The area that tests fetch."""
FIRST, LAST = date(2021, 4, 1), date(2021, 7, 31)
S2 = "COPERNICUS/S2_SR_HARMONIZED"
CLOUD_SCORE = "GOOGLE/CLOUD_SCORE_PLUS/V1/S2_HARMONIZED"
L1C = "COPERNICUS/S2_HARMONIZED"
S1 = "COPERNICUS/S1_GRD"
ERA5 = "ECMWF/ERA5_LAND/MONTHLY_AGGR"
SRTM = "USGS/SRTMGL1_003"
RESOLUTION = {"B2": 10, "B3": 10, "B4": 10, "B8": 10, "B9": 60} | dict.fromkeys(
    ("B5", "B6", "B7", "B8A", "B11", "B12", "SCL"), 20
)
RESOLUTION_L1C = {"B2": 10, "B3": 10, "B4": 10, "B8": 10, "B1": 60, "B9": 60, "B10": 60}
TOP = {"B1": (1100, 4200), "B2": (1000, 5200), "B3": (900, 5000), "B4": (800, 5100), "B10": (10, 900)} | {
    name: (2500, 5600) for name in ("B5", "B6", "B7", "B8", "B8A", "B9")
}
TOP |= {"B11": (2400, 4600), "B12": (1500, 4000)}
"""Numbers of Level-1C over land and over cloud."""
OPTICAL_DAYS = {4: (3, 8, 13, 18, 23, 28), 5: (3, 18), 6: (2, 7, 12, 17, 22, 27)}
"""Day of each optical pass; May is all cloud, July has no pass."""
RADAR_DAYS = {4: (2, 8, 14, 20, 26), 5: (2, 14), 7: (1, 13, 25)}
"""Day of each descending radar pass; June has none. Ascending: some of them, a day later."""
LEFT = GeoBox((72, 48), Affine(10, 0, 639_840, 0, -10, 5_610_180), "EPSG:32631")
RIGHT = GeoBox((72, 42), Affine(10, 0, 640_200, 0, -10, 5_610_180), "EPSG:32631")
OTHER_ZONE = (40, 40)
"""Size of a granule in the neighbouring UTM zone, over the upper right corner."""


def catalogue(grid: GeoBox = GRID, noise: int = 0) -> dict[str, Stored]:
    """All images by identifier."""
    rng = np.random.default_rng(7 + noise)
    optical = list(_optical(rng))
    images = [
        *optical,
        *_scores(optical),
        *_top_of_atmosphere(),
        *_radar(rng),
        *_weather(grid),
        _terrain(grid),
    ]
    return {image.id: image for image in images}


def _optical(rng: np.random.Generator) -> Iterable[Stored]:
    number = 0
    for month, days in OPTICAL_DAYS.items():
        for day in days:
            when = datetime(2021, month, day, 10, 50, 31, tzinfo=UTC)
            clouds = _cloudy(rng, everywhere=month == 5)
            for tile, own in (("T31UFS", LEFT), ("T31UGS", RIGHT), ("T32ULB", _other_zone())):
                yield _granule(rng, when, tile, own, clouds, edge=number % 3 == 1, number=number)
            if number == 2:  # processed before, with an offset that is wrong
                yield _granule(rng, when, "T31UFS", LEFT, clouds, edge=False, number=number, older=True)
            number += 1


def _granule(
    rng: np.random.Generator,
    when: datetime,
    tile: str,
    own: GeoBox,
    clouds: NDArray[np.uint8],
    *,
    edge: bool,
    number: int,
    older: bool = False,
) -> Stored:
    bands = {}
    for name, size in RESOLUTION.items():
        grid = own if size == 10 else _coarser(own, size)
        if name == "SCL":
            values = _on(clouds, grid)
        else:
            values = rng.integers(200, 4000, grid.shape).astype(np.uint16)
            values += np.uint16(9000 if older else 0)
        bands[name] = (values, _within_swath(grid, edge), grid)
    begun = when.strftime("%Y%m%dT%H%M%S")
    made = when + timedelta(days=1 if older else 9)
    properties = {
        "system:time_start": int(when.timestamp() * 1000) + (3000 if tile.startswith("T32") else 0),
        "DATATAKE_IDENTIFIER": f"GS2A_{begun}_{30_000 + number:06d}_N0{2 if older else 5}.00",
        "MGRS_TILE": tile[1:],
        "PROCESSING_BASELINE": "02.00" if older else "05.00",
        "GENERATION_TIME": int(made.timestamp() * 1000),
        "CLOUDY_PIXEL_PERCENTAGE": float(100 * np.isin(clouds, (3, 8, 9)).mean()),
    }
    return Stored(f"{S2}/{begun}_{made:%Y%m%dT%H%M%S}_{tile}", bands, properties, outline(own))


def _scores(granules: Iterable[Stored]) -> Iterable[Stored]:
    """Cloud Score+ of all granules but one, whole hundredths at 10 m, with a hole; low in cloudy May."""
    rng = np.random.default_rng(11)
    for number, granule in enumerate(granules):
        _, valid, own = granule.bands["B2"]
        field = gaussian_filter(rng.normal(0, 1, own.shape), 4)
        score = np.clip(np.round(0.62 + 0.25 * field / field.std(), 2), 0, 1).astype(np.float32)
        score *= np.float32(0.3 if "_202105" in granule.id or "/202105" in granule.id else 1)
        seen = valid.copy()
        seen[30:33, 20:24] = False
        if number != 4:
            told = {"system:time_start": granule.properties["system:time_start"]}
            index = granule.id.rpartition("/")[2]
            yield Stored(f"{CLOUD_SCORE}/{index}", {"cs_cdf": (score, seen, own)}, told, granule.outline)


def _top_of_atmosphere() -> Iterable[Stored]:
    """Level-1C: clouds that are bright and moist, nothing dark, swath edges; each pass under another sun."""
    rng = np.random.default_rng(13)
    days = [(month, day) for month, days in OPTICAL_DAYS.items() for day in days[: 7 - month]]
    for number, (month, day) in enumerate(days):
        when = datetime(2021, month, day, 10, 50, 31, tzinfo=UTC)
        for tile, own in (("T31UFS", LEFT), ("T31UGS", RIGHT), ("T32ULB", _other_zone()))[: 3 - number % 2]:
            cloud = gaussian_filter(rng.normal(0, 1, own.shape), 6)
            cloud = np.clip(cloud / cloud.std(), 0, 1.5)
            bands = {}
            for name, (clear, cloudy) in TOP.items():
                size = RESOLUTION_L1C.get(name, 20)
                grid = own if size == 10 else _coarser(own, size)
                thick = cloud[:: size // 10, :: size // 10][: grid.height, : grid.width]
                thick = np.pad(
                    thick, [(0, a - b) for a, b in zip(grid.shape, thick.shape, strict=True)], "edge"
                )
                values = clear + rng.integers(0, 400, grid.shape) + thick * (cloudy - clear)
                bands[name] = (values.astype(np.uint16), _within_swath(grid, number % 3 == 1), grid)
            begun = when.strftime("%Y%m%dT%H%M%S")
            properties = {
                "system:time_start": int(when.timestamp() * 1000),
                "DATATAKE_IDENTIFIER": f"GS2A_{begun}_{30_000 + number:06d}_N05.00",
                "MGRS_TILE": tile[1:],
                "PROCESSING_BASELINE": "05.00",
                "GENERATION_TIME": int(when.timestamp() * 1000),
                "CLOUDY_PIXEL_PERCENTAGE": float(rng.integers(0, 100)),
                "MEAN_SOLAR_AZIMUTH_ANGLE": 150.0 + number,
                "MEAN_SOLAR_ZENITH_ANGLE": 40.0 - number,
            }
            yield Stored(f"{L1C}/{begun}_{begun}_{tile}", bands, properties, outline(own))


def _radar(rng: np.random.Generator) -> Iterable[Stored]:
    number = 0
    for month, days in RADAR_DAYS.items():
        for day in days:
            when = datetime(2021, month, day, 5, 50, tzinfo=UTC)
            yield from _slices(rng, when, "DESCENDING", 40_000 + number)
            if number % 2:
                yield from _slices(rng, when + timedelta(days=1, hours=12), "ASCENDING", 50_000 + number)
            number += 1
    when = datetime(2021, 6, 5, 5, 50, tzinfo=UTC)
    yield _slice(rng, when, "DESCENDING", 60_001, LEFT, {"instrumentMode": "EW"})
    yield _slice(rng, when, "DESCENDING", 60_002, LEFT, {"transmitterReceiverPolarisation": ["VV"]})


def _slices(rng: np.random.Generator, when: datetime, direction: str, orbit: int) -> Iterable[Stored]:
    for part, own in enumerate((_rows(LEFT, 0, 40), _rows(LEFT.pad(30), 60, 132))):
        yield _slice(rng, when + timedelta(seconds=25 * part), direction, orbit, own, {})


def _slice(
    rng: np.random.Generator,
    when: datetime,
    direction: str,
    orbit: int,
    own: GeoBox,
    told: Mapping[str, Any],
) -> Stored:
    valid = np.ones(own.shape, bool)
    valid[:, :4] = False  # border noise is masked
    bands = {
        name: (rng.normal(mean, 2.5, own.shape).astype(np.float32), valid, own)
        for name, mean in (("VV", -9.0), ("VH", -16.0))
    }
    properties = {
        "system:time_start": int(when.timestamp() * 1000),
        "platform_number": "A",
        "orbitNumber_start": orbit,
        "orbitProperties_pass": direction,
        "instrumentMode": "IW",
        "transmitterReceiverPolarisation": ["VV", "VH"],
        **told,
    }
    return Stored(f"{S1}/S1A_{when:%Y%m%dT%H%M%S}_{orbit}", bands, properties, outline(own))


def weather_cells(grid: GeoBox = GRID) -> GeoBox:
    """Cells of 0.1 degree around a grid, centres at multiples of it."""
    box = grid.extent.to_crs("EPSG:4326").boundingbox
    left, top = round(box.left * 10) - 6, round(box.top * 10) + 6
    return GeoBox((13, 13), Affine(0.1, 0, (left - 0.5) / 10, 0, -0.1, (top + 0.5) / 10), "EPSG:4326")


def daily_weather(grid: GeoBox = GRID) -> tuple[NDArray[np.datetime64], dict[str, NDArray[np.float64]]]:
    """(days, values of every day (days, H, W)); a cell is sea, and NaN."""
    rng, cells = np.random.default_rng(3), weather_cells(grid)
    days = np.arange(np.datetime64(FIRST), np.datetime64(LAST) + 1)
    shape = (days.size, *cells.shape)
    values = {
        "temperature_2m": 280 + rng.normal(0, 4, shape),
        "total_precipitation": rng.exponential(0.003, shape),
    }
    for each in values.values():
        each[:, 5, 5] = np.nan
    return days.astype("datetime64[ns]"), values


def _weather(grid: GeoBox) -> Iterable[Stored]:
    days, values = daily_weather(grid)
    cells, months = weather_cells(grid), days.astype("datetime64[M]")
    for month in np.unique(months):
        first: date = month.astype("datetime64[D]").item()
        at = months == month
        assert at.sum() == monthrange(first.year, first.month)[1]
        bands = {
            "temperature_2m": values["temperature_2m"][at].mean(0),
            "total_precipitation_sum": values["total_precipitation"][at].sum(0),
        }
        told = {"system:time_start": int(datetime(first.year, first.month, 1, tzinfo=UTC).timestamp() * 1000)}
        stored = {name: (np.nan_to_num(v), np.isfinite(v), cells) for name, v in bands.items()}
        yield Stored(f"{ERA5}/{first:%Y%m}", stored, told, outline(cells))


def terrain_cells(grid: GeoBox = GRID) -> GeoBox:
    """Cells of one arc second around a grid, centres at multiples of it."""
    box, size = grid.extent.to_crs("EPSG:4326").boundingbox, 1 / 3600
    left, top = round(box.left / size) - 12, round(box.top / size) + 12
    shape = (round(box.span_y / size) + 26, round(box.span_x / size) + 26)
    return GeoBox(shape, Affine(size, 0, (left - 0.5) * size, 0, -size, (top + 0.5) * size), "EPSG:4326")


def _terrain(grid: GeoBox) -> Stored:
    cells = terrain_cells(grid)
    heights = gaussian_filter(np.random.default_rng(5).normal(0, 60, cells.shape), 2) + 200
    bands = {"elevation": (np.rint(heights).astype(np.int16), np.ones(cells.shape, bool), cells)}
    return Stored(SRTM, bands, {}, outline(cells))


def outline(own: GeoBox) -> Any:
    """The footprint of a grid in longitude and latitude."""
    return shapely.from_wkt(own.extent.to_crs("EPSG:4326").wkt)


def _cloudy(rng: np.random.Generator, *, everywhere: bool) -> NDArray[np.uint8]:
    """Scene classes of a pass on a wide grid of 20 m."""
    shape = (60, 60)
    field = gaussian_filter(rng.normal(0, 1, shape), 2.5)
    field /= field.std()
    classes = rng.choice(np.array([4, 5, 6, 7, 2], np.uint8), shape, p=[0.6, 0.25, 0.05, 0.05, 0.05])
    classes[field > 0.9], classes[field > 1.2] = 3, 9
    classes[field < -1.9] = 11
    return np.full(shape, 9, np.uint8) if everywhere else classes


def _on(classes: NDArray[np.uint8], grid: GeoBox) -> NDArray[np.uint8]:
    x, y = centres(grid)
    if str(grid.crs) != str(GRID.crs):
        x, y = Transformer.from_crs(grid.crs.proj, GRID.crs.proj, always_xy=True).transform(x, y)
    row, col = (np.clip(v, 0, 59).astype(int) for v in ((5_610_240 - y) // 20, (x - 639_780) // 20))
    return classes[row, col]


def _within_swath(grid: GeoBox, edge: bool) -> NDArray[np.bool_]:
    """Whether a pixel was seen; with an edge, to the left of a slanted line only."""
    x, y = centres(grid)
    if str(grid.crs) != str(GRID.crs):
        x, y = Transformer.from_crs(grid.crs.proj, GRID.crs.proj, always_xy=True).transform(x, y)
    seen: NDArray[np.bool_] = (x - 640_230) + 0.4 * (y - 5_609_780) < 0
    return seen if edge else np.ones(grid.shape, bool)


def _other_zone() -> GeoBox:
    x, y = Transformer.from_crs(32631, 32632, always_xy=True).transform(640_150, 5_610_180)
    left, top = (60 * round(v / 60) for v in (x, y))
    return GeoBox(OTHER_ZONE, Affine(10, 0, left, 0, -10, top), "EPSG:32632")


def _coarser(own: GeoBox, size: int) -> GeoBox:
    """Cells of another size from the same corner, over at least the same area."""
    shape = tuple(-(-n * 10 // size) for n in own.shape)
    return GeoBox(shape, Affine(size, 0, own.affine.c, 0, -size, own.affine.f), own.crs)


def _rows(own: GeoBox, first: int, last: int) -> GeoBox:
    return own[first:last, :]
