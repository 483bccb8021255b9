"""What maps of large areas take, from what was measured: `python examples/scaling.py > examples/scaling.md`.

Every number has its reason beside it. Put in your own (the rates of your machine, the dates of your season)
and run it again.
"""

from collections.abc import Iterator
from dataclasses import dataclass

PIXEL = 1e-4
"""Square kilometres of a pixel of 10 m."""


@dataclass(frozen=True)
class Fact:
    """A number that the page rests on."""

    what: str
    """What it is."""
    value: float
    """The number."""
    unit: str
    """Its unit."""
    reason: str
    """Where it comes from."""


MODELS = {
    "`comiss` (published size)": Fact("", 23_100, "px/s", "`test_inference_speed.py`"),
    "`comiss+` (the default)": Fact("", 45_000, "px/s", "`test_compact_speed.py`"),
    "`comiss+`, compact": Fact("", 424_000, "px/s", "likewise"),
}
"""Pixels a second and core of the networks, from raw values to class and confidence."""
DEFAULT = "`comiss+` (the default)"
FACTS = {
    "share": Fact(
        "share of the network's rate that a whole map reaches, from a stack on disk",
        0.85,
        "",
        "0.90 with Co-Miss in `test_map_rate.py`; reading and writing take about 4 µs a pixel and core, of a "
        "network twice as fast a larger part",
    ),
    "compact": Fact(
        "a whole map with a compact model, from a stack on disk: reading, batches and writing are most of it",
        95_000,
        "pixels a second and core",
        "`test_map_rate.py`; of 1,536 x 1,536 pixels 130,000",
    ),
    "composite": Fact(
        "making monthly composites of single dates",
        18.0,
        "µs a pixel and core",
        "73 optical dates of 12 bands: 15.9; 61 radar dates of 2: 2.0; 256 x 256 pixels in memory",
    ),
    "unpack": Fact(
        "unpacking what catalogues hold",
        8.0,
        "µs a pixel and core",
        "1.7 kB a pixel at 200 MB/s and core (DEFLATE with predictor)",
    ),
    "catalogue": Fact(
        "bytes that a season takes from a catalogue",
        1_000.0,
        "a pixel",
        "real acquisitions of a year in Flanders as DEFLATE: 1.4 to 1.6 bytes a value of Sentinel-2, 3.3 of "
        "Sentinel-1; 73 dates of 10 bands and SCL, 60 of VV and VH (two satellites, one orbit)",
    ),
    "ee_bytes": Fact(
        "bytes that composites take from Earth Engine",
        360.0,
        "a pixel",
        "12 months of 12 optical and 3 radar bands as 16-bit integers: what `geocomiss plan` counts",
    ),
    "ee_requests": Fact(
        "requests to Earth Engine",
        24 / 512**2,
        "a pixel",
        "one for a tile of 512 x 512 pixels, a modality and a month",
    ),
    "ee_core": Fact(
        "Earth Engine's computing",
        26.0,
        "µs of an EECU a pixel",
        "**a guess, not a measurement**: that an EECU does what a core does here, unpacking and compositing; "
        "`geocomiss plan` measures it on your project by three requests",
    ),
    "map": Fact("bytes of a finished map", 1.5, "a pixel", "all layers of the example's map, compressed"),
}
"""By name."""


@dataclass(frozen=True)
class Area:
    """An area to map."""

    name: str
    """Its name."""
    km2: float
    """Square kilometres that are mapped."""
    reason: str
    """Where that comes from."""

    @property
    def pixels(self) -> float:
        """Pixels of 10 m."""
        return self.km2 / PIXEL


AREAS = (
    Area("a Sentinel-2 tile", 109.8**2, "109.8 km a side, everything in it"),
    Area("Belgium", 30_689, "its whole area"),
    Area("Canada's croplands", 378_000, "37.8 million ha (census of 2021); a mask leaves out the rest"),
    Area("the world's croplands", 12_440_000, "1,244 million ha (Potapov et al. 2022); likewise"),
)


BEGINNING = """# Paper scale: what a tile, a country and the world take

Made by `python examples/scaling.py` from what was measured on 2026-11-23 and 24 on 2 cores of an AMD EPYC
with bfloat16; nothing of this size was mapped. One season of 12 months at 10 m, all four modalities.
"""
END = """
With a mask of cropland only its pixels are classified; what is read are whole blocks of 256 or 512 pixels
that hold some, so that scattered fields take more bytes than counted here: 2,000 fields of 1 ha anywhere in
100 x 100 km took 24 GB of a stored stack, 3 GB of one fetched for them, side by side 0.16 GB
(`test_scattered.py`). Cores are taken to work side by side without loss (2 workers were 1.7 times as fast as
one, beside other programs: `test_workers.py`), and a catalogue to answer as fast as it is asked. Neither is
certain at a thousand cores: a disk that all machines share, and the catalogue's limits, come first."""


def page() -> Iterator[str]:
    """The page, line by line."""
    yield BEGINNING
    yield "## The network, in hours of one core\n"
    yield "| area | pixels | " + " | ".join(MODELS) + " |"
    yield "|---|---|" + "---|" * len(MODELS)
    for area in AREAS:
        hours = (_number(_hours(area.pixels / rate.value)) for rate in MODELS.values())
        yield f"| {area.name} | {_pixels(area.pixels)} | " + " | ".join(hours) + " |"
    yield f"\n## A whole map with {DEFAULT}\n"
    yield (
        "| area | from a stack on disk, core-hours | from a catalogue, core-hours "
        "| likewise, days on 2 cores | likewise, hours on 64 cores | likewise, a compact model |"
    )
    yield "|---|---|---|---|---|---|"
    for area in AREAS:
        disk, composed = _from_disk(area), _composed(area)
        catalogue, compact = disk + composed, _hours(area.pixels / FACTS["compact"].value) + composed
        cells = (disk, catalogue, catalogue / 2 / 24, catalogue / 64, compact / 64)
        yield f"| {area.name} | " + " | ".join(map(_number, cells)) + " |"
    yield "\n## What travels\n"
    yield (
        "| area | bytes from a catalogue | hours at 1 Gbit/s | requests to Earth Engine | bytes from it "
        "| EECU-hours (a guess) | bytes of the map |"
    )
    yield "|---|---|---|---|---|---|---|"
    for area in AREAS:
        yield f"| {area.name} | " + " | ".join(_travels(area)) + " |"
    yield "\n## What the numbers rest on\n"
    yield "| what | value | why |"
    yield "|---|---|---|"
    for name, rate in MODELS.items():
        yield f"| {name}: pixels a second and core | {_number(rate.value)} | {rate.reason} |"
    for fact in FACTS.values():
        yield f"| {fact.what} | {_number(fact.value)} {fact.unit} | {fact.reason} |"
    for area in AREAS:
        yield f"| {area.name} | {_number(area.km2)} km² | {area.reason} |"
    yield END


def _hours(seconds: float) -> float:
    return seconds / 3600


def _from_disk(area: Area) -> float:
    """Core-hours."""
    return _hours(area.pixels / (MODELS[DEFAULT].value * FACTS["share"].value))


def _composed(area: Area) -> float:
    """Core-hours from what a catalogue holds to a stack."""
    return _hours(area.pixels * 1e-6 * (FACTS["composite"].value + FACTS["unpack"].value))


def _travels(area: Area) -> Iterator[str]:
    loaded = area.pixels * FACTS["catalogue"].value
    yield _bytes(loaded)
    yield _number(_hours(loaded * 8 / 1e9))
    yield _number(area.pixels * FACTS["ee_requests"].value)
    yield _bytes(area.pixels * FACTS["ee_bytes"].value)
    yield _number(_hours(area.pixels * FACTS["ee_core"].value * 1e-6))
    yield _bytes(area.pixels * FACTS["map"].value)


def _pixels(number: float) -> str:
    return f"{number / 1e6:,.0f} million"


def _number(value: float) -> str:
    """Two digits that mean something."""
    if value >= 100:
        digits = 10 ** (len(str(int(value))) - 2)
        return f"{round(value / digits) * digits:,}"
    return f"{value:.2g}"


def _bytes(number: float) -> str:
    for unit, size in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9)):
        if number >= size:
            return f"{_number(number / size)} {unit}"
    return f"{_number(number / 1e6)} MB"


if __name__ == "__main__":
    print("\n".join(page()))
