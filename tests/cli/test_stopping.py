"""SIGTERM is heard like Ctrl-C, by our command line only; tests/mapping/test_killed.py ends maps by it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from threading import Thread

import pytest

from geocomiss_cli.stopping import INTERRUPTED, SAME, TERMINATED, sigterm_heard

ROOT = Path(__file__).resolve().parents[2]
TIDYING = f"""
import time
from geocomiss_cli.stopping import sigterm_heard
with sigterm_heard():
    try:
        print("at work", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("tidying up", flush=True)
        time.sleep({SAME / 2})
        print("half done", flush=True)
        time.sleep({SAME})
        print("done", flush=True)
        raise SystemExit({INTERRUPTED})
"""
"""What takes a while after it was interrupted, and ends as typer ends after Ctrl-C."""


def begin(code: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "cli")])}
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env=environment)


def end_at(process: subprocess.Popen[str], line: str) -> None:
    """Send SIGTERM once this is the next line."""
    assert process.stdout and process.stdout.readline().strip() == line
    process.send_signal(signal.SIGTERM)


def test_sent_twice_at_once_as_by_timeout_it_is_one_and_all_is_tidied_up() -> None:
    process = begin(TIDYING)
    end_at(process, "at work")
    end_at(process, "tidying up")
    assert process.communicate(timeout=60)[0].split("\n") == ["half done", "done", ""]
    assert process.returncode == TERMINATED


def test_a_second_one_later_ends_at_once() -> None:
    process = begin(TIDYING.replace(f"time.sleep({SAME / 2})", f"time.sleep({SAME * 1.1})"))
    end_at(process, "at work")
    assert process.stdout and process.stdout.readline().strip() == "tidying up"
    end_at(process, "half done")
    assert process.communicate(timeout=60)[0] == ""
    assert process.returncode == TERMINATED


def test_imports_and_the_end_of_the_command_line_leave_the_signal_alone() -> None:
    process = begin(
        "import signal, sys; import geocomiss; from geocomiss_cli.main import main\n"
        "sys.argv = ['geocomiss', '--version']\n"
        "assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\n"
        "try: main()\n"
        "finally: assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL"
    )
    process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.parametrize("found", [signal.SIG_IGN, lambda *_: None], ids=["ignored", "handled"])
def test_who_started_us_decides(found: signal.Handlers) -> None:
    before = signal.signal(signal.SIGTERM, found)
    try:
        with sigterm_heard():
            assert signal.getsignal(signal.SIGTERM) is found
    finally:
        signal.signal(signal.SIGTERM, before)


def test_another_thread_has_no_signals() -> None:
    before, entered = signal.getsignal(signal.SIGTERM), []

    def command() -> None:
        with sigterm_heard():
            entered.append(signal.getsignal(signal.SIGTERM))

    thread = Thread(target=command)
    thread.start()
    thread.join()
    assert entered == [before]
