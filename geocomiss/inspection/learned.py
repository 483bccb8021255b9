"""Facts about samples tables and models."""

import inspect
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from geocomiss.footprint import DIGITS
from geocomiss.inspection.facts import Facts, rounded
from geocomiss.modalities import MODALITIES

if TYPE_CHECKING:
    from geocomiss.checkpoint import Card

MOST_CLASSES: Final = 254
"""Most distinct values of a column that could hold labels."""


def samples_facts(path: Path) -> Facts:
    """What a table holds: series, places (never points), columns that could be labels or targets.

    Raises:
        SampleError: It cannot be used.
    """
    from geocomiss.samples.readers import read_contents

    contents = read_contents(path)
    values, steps = contents.values, contents.steps
    return {
        "what": "a table of labelled samples",
        "samples": len(contents),
        "steps": int(steps.months.shape[1]),
        "years": list(steps.years),
        "recipe": contents.recipe.name if contents.recipe else "not stated",
        "bounds": rounded([f(each) for f in (np.min, np.max) for each in (contents.lon, contents.lat)]),
        "sha256": contents.sha256,
        "modalities": [
            {
                "modality": name,
                "valid": round(float(np.isfinite(values[name]).all(2).mean()), 4),
                "bands": list(contents.bands[name]),
            }
            for name in MODALITIES
            if name in values
        ],
        "columns": [
            {"column": key, "classes": len(counts), "samples": counts}
            for key, column in contents.columns.items()
            if (counts := _class_counts(column))
        ],
        "columns of numbers": [
            {"column": key} | spread
            for key, column in contents.columns.items()
            if not _class_counts(column) and (spread := _spread(column))
        ],
    }


def _class_counts(column: np.ndarray[Any, Any]) -> dict[str, int]:
    """How often each value occurs, most frequent first; nothing for a column of measurements."""
    if np.issubdtype(column.dtype, np.floating) and (column != np.round(column)).any():
        return {}
    found, counts = np.unique(column, return_counts=True)
    if not 2 <= found.size <= MOST_CLASSES:
        return {}
    order = np.argsort(-counts, kind="stable")
    return {str(found[place]): int(counts[place]) for place in order}


def _spread(column: np.ndarray[Any, Any]) -> dict[str, int | float]:
    """How many values a column of numbers has and where they lie; nothing for any other column."""
    known = column[np.isfinite(column)] if column.dtype.kind in "iuf" else column[:0]
    if not known.size:
        return {}
    places = {name: round(float(f(known)), 4) for name, f in (("min", np.min), ("mean", np.mean))}
    return {"samples": int(known.size), **places, "max": round(float(known.max()), 4)}


def model_facts(name_or_path: str) -> Facts:
    """What the card of a model says.

    Raises:
        CheckpointError: It is missing or damaged.
    """
    from geocomiss.checkpoint import read_card

    card = read_card(name_or_path)
    stored = card.model_dump(mode="json")
    scores = stored["scores"]
    return {
        "what": "a model of the simulated world" if card.simulated else "a model",
        "method": card.method,
        "options": stored["options"],
        "time steps": str(card.cycle) if card.cycle else f"{card.steps}, without one calendar",
        "recipe": stored["recipe"],
        "training": _training(stored["training"]),
        **({"distilled from": _teacher(card)} if card.training.distilled else {}),
        "sha256": card.model_sha256,
        **({"target": stored["target"]} if card.target else {"classes": stored["classes"]}),
        "modalities": [
            {"modality": name, "min steps": card.min_steps[name], "bands": list(bands)}
            for name, bands in card.bands.items()
        ],
        "scores": _scores(scores) if scores else "never scored",
        **({"calibrated on": card.calibration.samples} if card.calibration else {}),
        "calibration": _calibration(stored) if card.calibration else "none: the confidence is uncalibrated",
        "area of applicability": _applicability(card),
    }


def method_facts(name: str) -> Facts:
    """What a method is, and its options.

    Args:
        name: Key in `METHODS`.
    """
    from geocomiss.methods import METHODS
    from geocomiss.methods.described import described

    method = METHODS[name]
    return {
        "what": f"a method: {inspect.getdoc(method)}",
        "modalities": list(method.supported),
        "options": [
            {**vars(each), "default": json.dumps(each.default).strip('"')}
            for each in described(method.options_type)
        ],
    }


def _teacher(card: "Card") -> Facts:
    """Who taught a compact model, and how much larger it was."""
    known = card.training.distilled
    if known is None:
        return {}
    return {
        "method": known.method,
        "preset": known.options["preset"],
        "epochs": known.epochs,
        "weights": known.parameters,
        "weights of this model": known.own_parameters,
    }


def _training(stored: Facts) -> Facts:
    """Hashes are for machines: how many there are says it all; a teacher has facts of its own."""
    stored = {name: value for name, value in stored.items() if name != "distilled"}
    places = stored.get("footprint")
    if not places:
        return stored
    return {**stored, "footprint": f"{len(places['pixels']) // DIGITS} hashed training pixels"}


def _calibration(stored: Facts) -> list[Facts]:
    """A row per availability pattern."""
    names, known = [info["name"] for info in stored["classes"]], stored["calibration"]
    return [
        {
            "available": pattern,
            "samples": each["n"],
            "temperature": round(each["temperature"], 3),
            "bias": [f"{name} {bias:+.2f}" for name, bias in zip(names, each["bias"], strict=True)],
        }
        for pattern, each in known["patterns"].items()
    ]


def _applicability(card: "Card") -> Facts | str:
    """What it was learnt from and which bands count; limits are for machines."""
    known = card.applicability
    if known is None:
        return (
            "none: the model predicts a value" if card.target else "none: train the model again to have one"
        )
    return {
        "learnt from": f"{known.n} samples of {known.groups} spatial groups, of which {known.kept} are kept",
        "weights": [
            f"{name} {band} {weight:.2f}"
            for name, bands in card.bands.items()
            for band, weight in zip(bands, known.weights[name], strict=True)
        ],
    }


def _scores(scores: Facts) -> list[Facts]:
    """A row per availability pattern."""
    return [{"available": pattern} | values for pattern, values in scores["patterns"].items()]
