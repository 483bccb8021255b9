"""The workflows of `geocomiss export status`, `wait` and `cancel`."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from geocomiss.errors import SourceError
from geocomiss.exporting.queue import Queue, Sent
from geocomiss.exporting.request import Limits
from geocomiss.exporting.state import LOST, Journal, State, refresh, state_of
from geocomiss.sources.base import EarthEngine, Reading
from geocomiss.sources.ee.client import Client
from geocomiss.sources.ee.failures import TOO_MUCH
from geocomiss.sources.ee.source import EarthEngineSource
from geocomiss.sources.ee.tasks import CANCELLED, FAILED, SUCCEEDED, Tasks
from geocomiss.sources.exports.manifest import Manifest, read_manifest

Progress = Callable[[int, int], None]
"""Told (files done, files in all)."""


def state_of_export(folder: Path, options: EarthEngine) -> State:
    """What has become of an export.

    Raises:
        GeocomissError: No export, or Earth Engine refuses.
    """
    manifest, journal = read_manifest(folder), Journal(folder)
    refresh(manifest, journal, Tasks(Client(_options(manifest, options))))
    return state_of(manifest, journal)


def cancel_export(folder: Path, options: EarthEngine) -> tuple[int, State]:
    """Cancel all tasks that have not ended: (number of them, what has become of the export).

    None is started any more, by a process either that waits for the export, until it is started again.

    Raises:
        GeocomissError: No export, or Earth Engine refuses.
    """
    manifest, journal = read_manifest(folder), Journal(folder)
    tasks = Tasks(Client(_options(manifest, options)))
    journal.cancel(True)
    asked: set[str] = set()
    while True:
        refresh(manifest, journal, tasks)  # another process may have been starting one
        ahead = {each.operation for each in journal.every() if each.under_way} - asked
        if not ahead:
            return len(asked), state_of(manifest, journal)
        for operation in sorted(ahead):
            tasks.cancel(operation)
        asked |= ahead


def wait_for_export(
    folder: Path,
    options: EarthEngine,
    limits: Limits,
    interval: float,
    progress: Progress | None = None,
) -> State:
    """Wait until all tasks have succeeded; start those that are still to be started, and retry failed ones.

    Args:
        folder: Of the export.
        options: How Earth Engine is reached.
        limits: How many tasks are started.
        interval: Seconds between two looks.
        progress: Told (files done, files in all).

    Raises:
        SourceError: Tasks failed for good or were cancelled, a limit was reached, or Earth Engine refuses.
    """
    manifest, journal = read_manifest(folder), Journal(folder)
    reading = Reading(
        manifest.wanted, manifest.max_cloud, ee=_options(manifest, options), keep=folder / "lists"
    )
    queue = Queue(manifest, journal, EarthEngineSource(manifest.origin.recipe, reading), {})
    started = 0
    while True:
        left = None if limits.tasks is None else limits.tasks - started
        sent = queue.send(replace(limits, tasks=left), asked=False)
        started += sent.tasks
        state = state_of(manifest, journal)
        if progress:
            progress(state.number(SUCCEEDED), len(state.rows))
        if state.done:
            return state
        if not state.under_way and not (sent.left and sent.stop == "queue"):
            raise _stuck(state, sent, limits)
        time.sleep(interval)


def _stuck(state: State, sent: Sent, limits: Limits) -> SourceError:
    """What to say where nothing is under way and nothing may be started."""
    failed = [row for row in state.rows if row.state == FAILED]
    if sent.stop == "cancelled":
        return SourceError(
            f"the export was cancelled, {state.number(SUCCEEDED):,} of {len(state.rows):,} files are there",
            expected="one that goes on",
            todo="start it again: what is there stays",
        )
    if sent.stop == "hours":
        return SourceError(
            f"{state.eecu_hours:.3g} EECU-hours are used and {sent.left:,} tasks not started",
            expected=f"at most --max-eecu-hours {limits.eecu_hours:g}",
            todo="raise it, and wait again",
        )
    if sent.stop == "tasks":
        return SourceError(
            f"{sent.left:,} tasks not started",
            expected=f"at most --max-requests {limits.tasks}",
            todo="raise it, and wait again",
        )
    if failed:
        first = failed[0]
        smaller = "; where it is memory or time, with a smaller --tile in a new folder"
        return SourceError(
            f"{len(failed):,} of {len(state.rows):,} files failed, each {limits.retries + 1} times; "
            f"{first.part}: {first.error[:160]}",
            expected="all of them",
            todo="remedy the cause, and start the export again: what is there stays"
            + (smaller if TOO_MUCH.search(first.error) else ""),
        )
    lost, cancelled = state.number(LOST), state.number(CANCELLED)
    return SourceError(
        f"{cancelled:,} tasks were cancelled, and {lost:,} are no longer known to Earth Engine",
        expected="tasks that succeed",
        todo="start the export again" if cancelled else "collect: it says which files are not there",
    )


def check_address(manifest: Manifest, options: EarthEngine) -> None:
    """Refuse to ask Google for what was started elsewhere.

    Raises:
        SourceError: It was started at another address than Google's, and none is given: whoever wrote
            the manifest does not decide where a login is sent.
    """
    if manifest.ee_url and not options.url:
        raise SourceError(
            f"this export was started at {manifest.ee_url}",
            expected=f"--ee-url {manifest.ee_url}, or the address to ask",
            todo="give it, if you trust it with your login",
        )


def _options(manifest: Manifest, options: EarthEngine) -> EarthEngine:
    """With the project of the export, unless another is given, and its radar passes.

    Raises:
        SourceError: See `check_address`.
    """
    check_address(manifest, options)
    return replace(
        options,
        project=options.project or manifest.project,
        s1_pass=manifest.s1_pass,
        max_eecu_hours=None,
        max_requests=None,
    )
