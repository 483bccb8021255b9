"""How far confidence and expected accuracy are from the truth: the page examples/results/calibration.

python examples/calibration.py SAMPLES.npz MODELS OUT [METHOD ...]

Trains small models of Canada 2017 with one spatial fold held out each, keeps them under MODELS (given
again, only missing ones are trained), and judges what they say of the fold that they never saw: its
samples under every pattern of modalities, as they are and with random gaps in time.
"""

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray

from geocomiss.batch import Batch
from geocomiss.calibration import Readout, calibration_error, reliability
from geocomiss.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from geocomiss.methods.gaps import drop_steps
from geocomiss.modalities import MODALITIES, patterns
from geocomiss.recipes import RECIPES
from geocomiss.samples import SampleRequest, Samples, read_samples
from geocomiss.samples.folds import fold_of
from geocomiss.samples.tensors import batch_of_samples, truth_of
from geocomiss.training import Settings, TrainRequest, train_model

FOLDS = ("0", "1", "2", "3", "4")
METHODS = ("comiss", "comiss+")
BEFORE, AFTER = "#b5541c", "#1f6f8b"
FEWEST = 20
"""Rows of a bin from which its share is drawn."""
DRAWS = 200
"""Draws by which the error of perfect confidence is found."""
ABOUT = """# How sure may a map be? Canada 2017, five spatial folds

Made by `python examples/calibration.py canada2017.npz MODELS OUT`: small networks, seed 0, each fold
predicted by a model that never saw it. Temperature, bias and expected accuracy were fitted to the part of the
training side that told training when to stop, so nothing was fitted to what it is judged on. ECE: expected
calibration error of the class written, 10 bins, in points of probability, all folds together; *by chance*:
what it would be if each confidence after calibration were exactly true. Classes are the same before and
after, and so is F1.

![Reliability](reliability.png)"""
STEPS = ((3, 4), (5, 6), (7, 8), (9, 10), (11, 12))
"""Bins of valid optical steps."""


@dataclass(frozen=True)
class Rows:
    """R samples with something missing, each predicted by a model that never saw its fold."""

    fold: NDArray[np.int64]
    pattern: NDArray[np.int64]
    """Available modalities as bits."""
    optical: NDArray[np.int64]
    """Valid optical steps, 0 where optical is not available."""
    gaps: NDArray[np.bool_]
    """Whether steps were hidden."""
    right: NDArray[np.bool_]
    before: NDArray[np.float64]
    """Softmax of the class written."""
    after: NDArray[np.float64]
    """Its confidence."""
    expected: NDArray[np.float64]
    """Its expected accuracy."""

    def __getitem__(self, chosen: NDArray[np.bool_]) -> "Rows":
        return Rows(*(column[chosen] for column in vars(self).values()))


def main(table: Path, models: Path, out: Path, methods: tuple[str, ...]) -> None:
    """Train what is missing, judge it, and write the page."""
    torch.set_num_threads(1)
    recipe = RECIPES["monthly-l2a"]
    samples = read_samples(SampleRequest(str(table), "label", None, recipe, "h3_l3"))
    found = {}
    for method in methods:
        parts = [judged(model_of(samples, method, fold, models), samples, fold) for fold in FOLDS]
        found[method] = _joined(parts)
    out.mkdir(parents=True, exist_ok=True)
    write_csv(out / "confidence.csv", confidence_rows(found))
    write_csv(out / "expected_accuracy.csv", expected_rows(found))
    draw(found, out / "reliability.png")
    (out / "table.md").write_text("\n".join(page(found)) + "\n", encoding="utf-8")


def model_of(samples: Samples, method: str, fold: str, models: Path) -> Checkpoint:
    """The model that never saw a fold: kept from before, or trained now."""
    folder = models / f"{method}_{fold}"
    if not folder.exists():
        request = TrainRequest("label", None, method, {"preset": "small"}, f"fold={fold}", Settings())
        trained = train_model(samples, request)
        write_checkpoint(folder, trained.card, trained.method, applicability=trained.applicability)
    return read_checkpoint(str(folder))


def judged(model: Checkpoint, samples: Samples, fold: str) -> Rows:
    """What a model says of its fold."""
    held = samples.take(fold_of(samples, f"fold={fold}"))
    batch = batch_of_samples(held, model.card.spec)
    y = truth_of(held, tuple(info.name for info in model.card.classes))
    parts = [_rows(model, *part, int(fold)) for part in _spoilt(batch, y, int(fold))]
    return _joined(parts)


def _joined(parts: list[Rows]) -> Rows:
    return Rows(
        *(np.concatenate(columns) for columns in zip(*(vars(p).values() for p in parts), strict=True))
    )


def _spoilt(batch: Batch, y: torch.Tensor, seed: int) -> Iterator[tuple[bool, Batch, torch.Tensor]]:
    """Under every pattern the samples that have it whole, without gaps in time and with random ones."""
    generator = torch.Generator().manual_seed(1000 + seed)  # other gaps than any that was fitted to
    for names in patterns(batch.modalities):
        columns = [name in names for name in batch.modalities]
        whole = torch.nonzero(batch.available[:, columns].all(1)).squeeze(1)
        part = batch.keep_only(names)[whole]
        yield False, part, y[whole]
        gapped = drop_steps(part, torch.ones(len(part), dtype=torch.bool), 0.5, generator)
        some = torch.nonzero(gapped.available.any(1)).squeeze(1)
        yield True, gapped[some], y[whole][some]


def _rows(model: Checkpoint, gaps: bool, batch: Batch, y: torch.Tensor, fold: int) -> Rows:
    readout, available = model.card.readout(), batch.available
    with torch.inference_mode():
        logits = model.method(batch)
        plain, said = Readout().read(logits, batch), readout.read(logits, batch)
        expected = readout.expected_accuracy(said.index, batch)
    if expected is None:
        sys.exit("a model without calibration: remove it from the folder of models")
    bits = sum(available[:, i] * MODALITIES[name].bit for i, name in enumerate(batch.modalities))
    optical = batch.valid["optical"].sum(1) * available[:, batch.modalities.index("optical")]
    columns = (bits, optical, torch.full(y.shape, gaps), said.index == y)
    numbers = (plain.confidence.double(), said.confidence.double(), expected.double())
    return Rows(np.full(len(y), fold), *(np.asarray(each) for each in (*columns, *numbers)))


def confidence_rows(found: dict[str, Rows]) -> list[dict[str, Any]]:
    """Calibration error per method and pattern, without gaps in time."""
    table = []
    for method, every in found.items():
        for key, rows in _by_pattern(every[~every.gaps]).items():
            folds = [rows[rows.fold == int(fold)] for fold in FOLDS]
            table.append(
                {
                    "method": method,
                    "available": key,
                    "samples": len(rows.right),
                    "right": rows.right.mean(),
                    "confidence_before": rows.before.mean(),
                    "confidence_after": rows.after.mean(),
                    "ece_before": calibration_error(rows.before, rows.right),
                    "ece_after": calibration_error(rows.after, rows.right),
                    "ece_by_chance": by_chance(rows.after),
                    "ece_before_mean_of_folds": _mean_error(folds, "before"),
                    "ece_after_mean_of_folds": _mean_error(folds, "after"),
                }
            )
    return table


def _mean_error(folds: list[Rows], what: str) -> float:
    return float(np.mean([calibration_error(getattr(rows, what), rows.right) or 0.0 for rows in folds]))


def by_chance(stated: NDArray[np.float64]) -> float:
    """The calibration error that probabilities (R,) would have if each were exactly true."""
    rng = np.random.default_rng(0)
    drawn = [calibration_error(stated, rng.random(len(stated)) < stated) or 0.0 for _ in range(DRAWS)]
    return float(np.mean(drawn))


def expected_rows(found: dict[str, Rows]) -> list[dict[str, Any]]:
    """Expected accuracy against the truth, by pattern and by valid optical steps, with gaps in time."""
    table = []
    for method, every in found.items():
        gapped = every[every.gaps]
        parts = {"no gaps": every[~every.gaps], "gaps": gapped, **_by_pattern(gapped)}
        parts |= {f"{low}-{high} optical steps": _steps(gapped, low, high) for low, high in STEPS}
        for name, rows in parts.items():
            stated = {"constant": np.full(len(rows.right), every.right.mean()), "expected": rows.expected}
            table.append(
                {
                    "method": method,
                    "rows": name,
                    "n": len(rows.right),
                    "right": rows.right.mean(),
                    "expected": rows.expected.mean(),
                    "error": calibration_error(rows.expected, rows.right),
                    **{
                        f"brier_{key}": ((p - rows.right) ** 2).mean()
                        for key, p in (stated | {"confidence": rows.after}).items()
                    },
                }
            )
    return table


def _steps(rows: Rows, low: int, high: int) -> Rows:
    return rows[(rows.optical >= low) & (rows.optical <= high)]


def _by_pattern(rows: Rows) -> dict[str, Rows]:
    """Rows of each pattern that occurs, the full one first."""
    bits = {key: sum(MODALITIES[name].bit for name in key) for key in patterns(tuple(MODALITIES))}
    parts = {"+".join(key): rows[rows.pattern == code] for key, code in bits.items()}
    return {key: part for key, part in parts.items() if len(part.right)}


def page(found: dict[str, Rows]) -> list[str]:
    """The page, line by line."""
    text = [ABOUT]
    for method in found:
        text += ["", f"## {method}", "", *_confidence_table(confidence_rows({method: found[method]}))]
        text += [
            "",
            "Expected accuracy: all patterns without gaps in time, then with random ones (points).",
            "",
        ]
        text += _expected_table(expected_rows({method: found[method]}))
    return text


def _confidence_table(rows: list[dict[str, Any]]) -> list[str]:
    keys = ["right", "confidence_before", "confidence_after", "ece_before", "ece_after", "ece_by_chance"]
    keys += ["ece_before_mean_of_folds", "ece_after_mean_of_folds"]
    mean = {"available": "**mean of patterns**", "samples": ""}
    mean |= {key: float(np.mean([row[key] for row in rows])) for key in keys}
    lines = [
        "| available | samples | right | confidence before | after | ECE before | after | by chance | "
        "ECE in a fold before | after |",
        "|---|" + "---|" * (len(keys) + 1),
    ]
    for row in (*rows, mean):
        cells = " | ".join(f"{100 * row[key]:.1f}" for key in keys)
        lines.append(f"| {row['available']} | {row['samples']} | {cells} |")
    return lines


def _expected_table(rows: list[dict[str, Any]]) -> list[str]:
    lines = [
        "| rows | n | right | expected | error | Brier score: constant | expected accuracy | confidence |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        points = " | ".join(f"{100 * row[key]:.1f}" for key in ("right", "expected", "error"))
        brier = " | ".join(f"{row[f'brier_{key}']:.3f}" for key in ("constant", "expected", "confidence"))
        lines.append(f"| {row['rows']} | {row['n']} | {points} | {brier} |")
    return lines


def draw(found: dict[str, Rows], path: Path) -> None:
    """Reliability of confidence before and after, errors per pattern, and expected accuracy."""
    figure, axes = plt.subplots(
        len(found), 3, figsize=(15, 4.9 * len(found)), layout="constrained", squeeze=False
    )
    for (method, rows), (left, middle, right) in zip(found.items(), axes, strict=True):
        plain = rows[~rows.gaps]
        left.set_title(f"{method}: confidence, all patterns", loc="left")
        _curve(left, plain.before, plain.right, BEFORE, "before")
        _curve(left, plain.after, plain.right, AFTER, "after")
        _diagonal(left, "confidence")
        _dots(middle, confidence_rows({method: rows}))
        gapped = rows[rows.gaps]
        right.set_title("expected accuracy, with gaps in time", loc="left")
        parts = _by_pattern(gapped)
        points = np.array([[p.expected.mean(), p.right.mean()] for p in parts.values()])
        right.scatter(*points.T, s=28, color="#999999", label="the 15 patterns", zorder=3)
        steps = [p for p in (_steps(gapped, *each) for each in STEPS) if len(p.right)]
        points = np.array([[p.expected.mean(), p.right.mean()] for p in steps])
        right.scatter(*points.T, s=42, marker="D", color="#d98a00", label="by valid optical steps", zorder=4)
        _curve(right, gapped.expected, gapped.right, AFTER, "all, by expected accuracy")
        _diagonal(right, "expected accuracy")
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def _curve(axes: Axes, stated: NDArray[np.float64], right: NDArray[np.bool_], color: str, label: str) -> None:
    bins = [each for each in reliability(stated, right) if each.n >= FEWEST]
    error = calibration_error(stated, right) or 0.0
    label = f"{label} (ECE {100 * error:.1f})"
    axes.plot([b.stated for b in bins], [b.true for b in bins], "o-", color=color, label=label, ms=5)


def _diagonal(axes: Axes, name: str) -> None:
    axes.plot([0, 1], [0, 1], color="#444444", lw=0.8, ls=":")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=name, ylabel="share that is right", aspect="equal")
    axes.legend(loc="upper left", frameon=False)


def _dots(axes: Axes, rows: list[dict[str, Any]]) -> None:
    places = np.arange(len(rows))[::-1]
    before, after, chance = (
        [100 * row[key] for row in rows] for key in ("ece_before", "ece_after", "ece_by_chance")
    )
    axes.hlines(places, after, before, color="#cccccc", zorder=1)
    axes.scatter(before, places, color=BEFORE, label="before", zorder=3)
    axes.scatter(after, places, color=AFTER, label="after", zorder=3)
    axes.scatter(chance, places, color="#444444", marker="|", label="by chance alone", zorder=2)
    axes.set_yticks(places, [row["available"].replace("topography", "terrain") for row in rows], fontsize=8)
    axes.set_title("calibration error by available modalities", loc="left")
    axes.set(xlabel="ECE, points of probability", xlim=(0, None))
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.12), ncols=3, frameon=False)


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write a table, numbers to five decimals."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({k: f"{v:.5f}" if isinstance(v, float) else v for k, v in row.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), tuple(sys.argv[4:]) or METHODS)
