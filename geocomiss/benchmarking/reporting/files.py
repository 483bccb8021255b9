"""The benchmark's files: the table in Markdown, scores and differences as CSV, figures."""

import csv
import io
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geocomiss.benchmarking.contenders import reference_of
from geocomiss.benchmarking.reporting.curves import gaps_figure, months_figure
from geocomiss.benchmarking.reporting.figures import table_figure
from geocomiss.benchmarking.reporting.markdown import markdown
from geocomiss.benchmarking.reporting.pooled import METRICS, Pooled, pooled_scores
from geocomiss.benchmarking.reporting.rows import summaries
from geocomiss.benchmarking.reporting.significance import DRAWS, Difference, compare
from geocomiss.benchmarking.results import Results
from geocomiss.errors import MapError

PARTIAL = ".partial"
"""End of the name of a file that is being written."""


@dataclass(frozen=True)
class ReportRequest:
    """What the report says beside the results."""

    command: str = ""
    """The command that made it, see `portable`."""
    reference: str | None = None
    """Key of the contender that the others are compared with; None chooses, see `reference_of`."""
    draws: int = DRAWS
    """Resamples of the groups."""
    seed: int = 0
    """Of the resamples."""


def write_report(results: Results, folder: Path, request: ReportRequest | None = None) -> tuple[Path, ...]:
    """Write table.md, scores.csv, differences.csv, table.png, and months.png and gaps.png where they apply.

    Each file appears whole, by rename; older ones of the same name are replaced, and a figure that no
    longer applies is removed.

    Args:
        results: What a benchmark found.
        folder: Where to write; made if it is not there.
        request: What else to say.

    Returns:
        The files written.

    Raises:
        MethodError: The reference took no part.
        MapError: The folder cannot be written.
    """
    request = request or ReportRequest()
    reference = reference_of(results.contenders, request.reference)
    pooled = pooled_scores(results)
    differences = compare(results, reference, request.draws, request.seed)
    files: dict[str, bytes | None] = {
        "table.md": markdown(results, pooled, differences, request.command).encode(),
        "scores.csv": scores_csv(results, pooled).encode(),
        "differences.csv": differences_csv(differences).encode(),
        "table.png": table_figure(results, pooled),
        "months.png": months_figure(results, pooled, reference),
        "gaps.png": gaps_figure(results, pooled, reference),
    }
    return _write_files(folder, files)


def portable(arguments: Sequence[str]) -> str:
    """A command line as text, of absolute paths only the last name: it means the same elsewhere."""
    return shlex.join(name for name in map(_portable, arguments) if name)


def _portable(argument: str) -> str:
    """A path alone, or after the last '=' as in --out=PATH and METHOD=PATH."""
    head, separator, path = argument.rpartition("=")
    return f"{head}{separator}{Path(path).name}" if Path(path).is_absolute() else argument


def scores_csv(results: Results, pooled: Pooled) -> str:
    """One line per contender, condition or summary, and seed or 'mean'; empty where not defined.

    F1 between 0 and 1.
    """
    metrics = [each.key for each in METRICS[results.task]]
    rows: list[Sequence[object]] = [("contender", "condition", "seed", *metrics)]
    conditions = {**{each: (each,) for each in results.conditions}, **summaries(results.modalities)}
    for contender in results.contenders:
        for name, members in conditions.items():
            found = [pooled.row(metric, contender.key, members)[0] for metric in metrics]
            for place, seed in enumerate(results.seeds):
                values = ("" if each is None else _exact(float(each[place])) for each in found)
                rows.append((contender.key, name, seed, *values))
            means = ("" if each is None else _exact(float(each.mean())) for each in found)
            rows.append((contender.key, name, "mean", *means))
    return _csv(rows)


def differences_csv(differences: Iterable[Difference]) -> str:
    """One line per comparison; above 0 the reference is better; in units of the metric."""
    rows: list[Sequence[object]] = [
        ("reference", "contender", "summary", "metric", "difference", "low", "high", "p", "p_holm",
         "not_inferior", "conditions_left_out"),
    ]  # fmt: skip
    for each in differences:
        numbers = (_exact(value) for value in (each.estimate, each.low, each.high, each.p, each.p_holm))
        inferior = "" if each.not_inferior is None else str(each.not_inferior).lower()
        left_out = str(each.partial).lower()
        rows.append((each.reference, each.other, each.row.key, each.metric, *numbers, inferior, left_out))
    return _csv(rows)


def _exact(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.6g}"


def _csv(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _write_files(folder: Path, files: dict[str, bytes | None]) -> tuple[Path, ...]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            _write(folder / name, content)
    except OSError as error:
        raise MapError(
            f"the report cannot be written to {folder} ({error.strerror or error})",
            expected="a writable folder with free space",
            todo="free space or choose another --out; runs already made are kept",
        ) from error
    return tuple(folder / name for name, content in files.items() if content is not None)


def _write(path: Path, content: bytes | None) -> None:
    if content is None:
        path.unlink(missing_ok=True)
        return
    partial = path.with_name(path.name + PARTIAL)
    partial.write_bytes(content)
    partial.replace(path)
