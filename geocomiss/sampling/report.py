"""What came of a sampling, in words and tables."""

import csv
import io
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from geocomiss.errors import SampleError
from geocomiss.samples import Samples
from geocomiss.sampling.request import LeftOut, SamplingReport

if TYPE_CHECKING:
    from geocomiss.sampling.plan import Plan

MONTHS: Final = ("?", "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
FEW: Final = 10
"""Samples of a class below which it is warned of."""


def report_of(
    plan: "Plan", samples: Samples, left: tuple[LeftOut, ...], told: tuple[list[str], list[str]]
) -> SamplingReport:
    """Count what was sampled.

    Args:
        plan: What was asked.
        samples: The table.
        left: What gave no sample.
        told: Notes and warnings of the source.
    """
    same = (samples.months == samples.months[0]).all(0)
    counted = Counter(samples.labels.tolist())
    missing = {
        name: tuple(np.mean(~np.isfinite(rows).all(2), axis=0).tolist())
        for name, rows in samples.values.items()
    }
    notes = [*plan.notes, *told[0], f"spatial groups: {samples.grouped_by}"]
    lacking = [name for name in plan.source.bands if name not in samples.values]
    return SamplingReport(
        path=plan.request.out,
        features=len(plan.features),
        per_class=dict(sorted(counted.items(), key=lambda item: (-item[1], item[0]))),
        missing=missing,
        months=tuple(np.where(same, samples.months[0], 0).tolist()),
        left_out=tuple(sorted(left, key=lambda each: each.feature)),
        notes=tuple(notes),
        warnings=(*plan.warnings, *told[1], *_worries(samples, lacking)),
    )


def _worries(samples: Samples, lacking: list[str]) -> list[str]:
    """What stands in the way of training."""
    counted = Counter(samples.labels.tolist())
    worries = [f"no value of {name} anywhere: the table has none" for name in lacking]
    if len(counted) == 1:
        worries.append(f"all samples are {next(iter(counted))}: nothing can be told apart")
    few = [f"{name} ({number})" for name, number in sorted(counted.items()) if number < FEW]
    if few:
        worries.append(
            f"under {FEW} samples: {', '.join(few)}; with one sample a class is either learnt or tested"
        )
    if len(set(samples.columns["feature"].tolist())) == 1:
        worries.append("all samples lie in one field: nothing can be said about others")
    elif len(set(samples.group.tolist())) == 1:
        worries.append("all samples are one spatial group: a model cannot be scored on another place")
    return worries


def report_paths(out: Path) -> tuple[Path, Path]:
    """Where the report and the list of what was left out are written."""
    return out.with_name(f"{out.stem}_report.md"), out.with_name(f"{out.stem}_left_out.csv")


def write_report(report: SamplingReport) -> tuple[Path, ...]:
    """Write the report and, if anything was left out, the list of it; returns the files written.

    Raises:
        SampleError: They cannot be written.
    """
    document, table = report_paths(report.path)
    texts = {document: "\n".join(_lines(report)) + "\n"}
    if report.left_out:
        texts[table] = _csv(report.left_out)
    else:
        table.unlink(missing_ok=True)  # of the table that this one replaces
    for path, text in texts.items():
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise SampleError(
                f"{path} cannot be written ({error.strerror or error})",
                expected="a folder with free space",
                todo="free space, and give the command again",
            ) from error
    return tuple(texts)


def _lines(report: SamplingReport) -> list[str]:
    """The report as Markdown."""
    lines = [f"# Samples in {report.path.name}", ""]
    lines += [f"{report.n:,} samples of {report.features:,} points or polygons.", ""]
    lines += ["| class | samples | share |", "|---|---:|---:|"]
    lines += [
        f"| {_cell(name)} | {number:,} | {number / report.n:.1%} |"
        for name, number in report.per_class.items()
    ]
    lines += ["", "## Missing, by time step", "", "Share of the samples without a value.", ""]
    heads = [MONTHS[month] for month in report.months]
    lines += [f"| | {' | '.join(heads)} |", "|---|" + "---:|" * len(heads)]
    for name, shares in report.missing.items():
        cells = [f"{share:.0%}" for share in shares]
        lines.append(f"| {name} | {' | '.join(cells + [''] * (len(heads) - len(cells)))} |")
    if report.left_out:
        lines += ["", "## Left out", "", "| why | number |", "|---|---:|"]
        lines += [f"| {why} | {number:,} |" for why, number in report.reasons.items()]
        lines += ["", f"Each of them stands in {report_paths(report.path)[1].name}."]
    for heading, sentences in (("Warnings", report.warnings), ("Notes", report.notes)):
        if sentences:
            lines += ["", f"## {heading}", "", *(f"* {sentence}" for sentence in sentences)]
    return lines


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _csv(left: tuple[LeftOut, ...]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["feature", "label", "lat", "lon", "why"])
    for each in left:
        place = ("", "") if np.isnan(each.lat) else (f"{each.lat:.7f}", f"{each.lon:.7f}")
        writer.writerow([each.feature, each.label, *place, each.why])
    return text.getvalue()
