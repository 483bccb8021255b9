"""What the maps of several zones state, taken together: counts and hectares add up, shares are means."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any, Final

from geocomiss.mapping.clock import Clock
from geocomiss.mapping.peaks import workers_stated
from geocomiss.sources.base import Traffic

Summary = dict[str, Any]
"""The content of a map's `run.json`."""
OUTSIDE: Final = ("outside", "masked", "failed")
"""Reasons for a pixel to have no class for which it was not even looked at."""
COUNTED: Final = tuple(each.name for each in fields(Traffic))
"""What is counted of reading over a network."""
WORKERS: Final = "workers"
"""What a map states of the memory that these took."""
PLACES: Final = 4
"""Decimals of hectares and of observations."""


def summed(parts: Mapping[str, Summary]) -> Summary:
    """One summary of several. What is equal in all of them (season, model, options) is that of the first.

    Args:
        parts: Summaries by name of the zone.
    """
    several, first = list(parts.values()), next(iter(parts.values()))
    looked_at = [_looked_at(each) for each in several]
    return {
        "label": first["label"],
        "area": first["area"],
        "classes": _classes(several),
        "nodata": _added(each["nodata"] for each in several),
        "modality_share": _means(several, looked_at, lambda each: each["modality_share"]),
        "observations": _observations(several, looked_at),
        "season": first["season"],
        "source": first["source"] | {"radar_pass": _passes(several)},
        "model": first["model"],
        "confidence": first["confidence"],
        "applicability": _applicability(several),
        **{name: first[name] for name in ("without", "require", "smooth")},
        "minimum_mapping_unit": _unit(several),
        **{name: first[name] for name in ("min_steps", "on_mismatch")},
        "notes": _said(parts, "notes"),
        "warnings": _said(parts, "warnings"),
        "tiles": _tiles(parts),
        "fetching": _fetching(several),
        "memory": _memory([each["memory"] for each in several]),
        "timings": _added(each["timings"] for each in several),
        "versions": first["versions"],
    }


def with_rate(summary: Summary, clock: Clock) -> Summary:
    """A summary that tells what a run classified itself: zones may have been mapped by earlier ones.

    Args:
        summary: Of all zones.
        clock: Of this run, with the pixels that it classified.
    """
    tiles = summary["tiles"]
    kept = tiles["computed_px"] + tiles["kept_px"] - clock.pixels
    rate = clock.rate(kept)
    return summary | {
        "tiles": tiles | {"computed_px": clock.pixels, "kept_px": kept},
        "seconds": round(clock.total, 3),
        "px_per_s": rate and round(rate, 1),
    }


def with_lacking(summary: Summary, failed: Mapping[str, str], nodata: Mapping[str, int]) -> Summary:
    """A summary that tells of zones without a map, too.

    Args:
        summary: Of the others.
        failed: Why nothing came of zones, by name.
        nodata: Pixels of all zones without a map by the reason for which they have no class.
    """
    warnings = [
        f"{name} has no map, as it failed ({why}): the same command with --overwrite tries it once more"
        for name, why in failed.items()
    ]
    return summary | {
        "nodata": _added([summary["nodata"], nodata]),
        "warnings": [*summary["warnings"], *warnings],
        "failed_zones": dict(failed),
    }


def _looked_at(summary: Summary) -> int:
    """Pixels inside area and mask."""
    without = sum(pixels for reason, pixels in summary["nodata"].items() if reason not in OUTSIDE)
    return int(_with_class(summary) + without)


def _with_class(summary: Summary) -> int:
    return sum(each["pixels"] for each in summary["classes"])


def _classes(several: list[Summary]) -> list[dict[str, Any]]:
    """Pixels and hectares of each class: the sums of what the zones' summaries state."""
    found = {each["value"]: each | {"pixels": 0, "area_ha": 0.0} for each in several[0]["classes"]}
    for summary in several:
        for each in summary["classes"]:
            one = found[each["value"]]
            one["pixels"] += each["pixels"]
            one["area_ha"] = round(one["area_ha"] + each["area_ha"], PLACES)
    return list(found.values())


def _added(several: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {}
    for each in several:
        for name, value in each.items():
            total[name] = round(total.get(name, 0) + value, PLACES)
    return total


def _highest(several: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in several:
        for name, value in each.items():
            found[name] = max((one for one in (found.get(name), value) if one is not None), default=None)
    return found


def _memory(several: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The highest of all zones; a worker of a scheduler may have worked for several of them."""
    plain = _highest({name: value for name, value in each.items() if name != WORKERS} for each in several)
    crews = [each[WORKERS] for each in several if each.get(WORKERS)]
    if not crews:
        return plain | {WORKERS: None}
    share = _highest({"mb": crew["share_mb"]} for crew in crews)["mb"]
    return plain | {WORKERS: workers_stated(_highest(crew["peaks_mb"] for crew in crews), share)}


def _means(
    several: list[Summary], weights: list[int], of: Callable[[Summary], Mapping[str, float]]
) -> dict[str, float]:
    """Means over the pixels that were looked at."""
    whole = max(1, sum(weights))
    return {
        name: sum(of(each)[name] * weight for each, weight in zip(several, weights, strict=True)) / whole
        for name in of(several[0])
    }


def _observations(several: list[Summary], weights: list[int]) -> dict[str, Any]:
    """Clear observations of a mapped pixel in each step, on average."""
    first, whole = several[0]["observations"], max(1, sum(weights))
    found: dict[str, Any] = {"steps": first["steps"]}
    for name in first:
        if name != "steps":
            columns = zip(*(each["observations"][name] for each in several), strict=True)
            found[name] = [
                round(
                    sum(value * weight for value, weight in zip(step, weights, strict=True)) / whole, PLACES
                )
                for step in columns
            ]
    return found


def _passes(several: list[Summary]) -> str:
    """Radar passes: each catalogue search takes the direction with most of them."""
    return " and ".join(dict.fromkeys(str(each["source"]["radar_pass"]) for each in several))


def _applicability(several: list[Summary]) -> dict[str, Any] | None:
    stated = [each for each in several if each["applicability"]]
    if not stated:
        return None
    weights = [_with_class(each) for each in stated]
    share = _means(stated, weights, lambda each: {"share": each["applicability"]["outside_share"]})["share"]
    return {**stated[0]["applicability"], "outside_share": round(share, 6)}


def _unit(several: list[Summary]) -> dict[str, Any] | None:
    """What the minimum mapping unit changed; how many pixels it has may differ by zone."""
    stated = [each["minimum_mapping_unit"] for each in several if each["minimum_mapping_unit"]]
    if not stated:
        return None
    changed = ({key: part for key, part in each.items() if key.startswith("changed")} for each in stated)
    return {**stated[0], **_added(changed)}


def _said(parts: Mapping[str, Summary], kind: str) -> list[str]:
    """Notes or warnings: those of all zones once, the others with the name of their zone."""
    everywhere = [
        text for text in next(iter(parts.values()))[kind] if all(text in p[kind] for p in parts.values())
    ]
    own = [f"{name}: {text}" for name, part in parts.items() for text in part[kind] if text not in everywhere]
    return [*everywhere, *own]


def _fetching(several: list[Summary]) -> dict[str, Any] | None:
    """What reading over a network took in all zones; None where nothing was.

    How much of it ran beside computing is the mean over the zones that tell, by the bytes of each.
    """
    stated = [each["fetching"] for each in several if each["fetching"]]
    if not stated:
        return None
    whole = _added({key: each[key] for key in COUNTED} for each in stated)
    known = [each for each in stated if each["overlap"] is not None]
    weights = sum(each["bytes"] for each in known)
    beside = sum(each["overlap"] * each["bytes"] for each in known)
    return whole | {
        "bytes_over_needed": over(whole["bytes"], whole["needed_bytes"]),
        "requests_over_fewest": over(whole["requests"], whole["fewest_requests"]),
        "overlap": round(beside / weights, 4) if weights else None,
    }


def over(taken: int, least: int) -> float | None:
    """How often the least that could have been taken was taken; None of nothing."""
    return round(taken / least, 4) if least else None


def _tiles(parts: Mapping[str, Summary]) -> dict[str, Any]:
    tiles = {name: part["tiles"] for name, part in parts.items()}
    whole = _added(
        {key: each[key] for key in ("number", "computed_px", "kept_px")} for each in tiles.values()
    )
    failed = {f"{name}/{tile}": why for name, each in tiles.items() for tile, why in each["failed"].items()}
    return {"size": next(iter(tiles.values()))["size"], **whole, "failed": failed}
