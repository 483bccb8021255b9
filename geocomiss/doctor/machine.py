"""The machine: processors, number formats, accelerator, memory, disk, and whether there are credentials."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from geocomiss.doctor.finding import Finding
from geocomiss.sources.base import EarthEngine

GIGA: Final = 1e9
LITTLE_MEMORY: Final = 4.0
"""Gigabytes below which large tiles may not fit."""
LITTLE_DISK: Final = 5.0
"""Gigabytes below which a map of a large area, or what is fetched for it, may not fit."""
PROJECT: Final = "EARTHENGINE_PROJECT"
KEY: Final = "GOOGLE_APPLICATION_CREDENTIALS"
LOGIN: Final = Path(".config") / "earthengine" / "credentials"
"""In the home folder, where `earthengine authenticate` leaves its login."""
DEFAULT_LOGIN: Final = Path(".config") / "gcloud" / "application_default_credentials.json"
"""Likewise `gcloud auth application-default login`."""
LIMITS: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where a container's memory is limited."""


def check_machine(folder: Path, options: EarthEngine) -> Iterator[Finding]:
    """Look at what geocomiss will run on.

    Args:
        folder: Where results will be written.
        options: How Earth Engine would be reached.
    """
    yield from _torch()
    yield _memory()
    yield _disk(folder)
    yield _credentials(Path.home(), options)


def _torch() -> Iterator[Finding]:
    """Threads, number formats, accelerator."""
    try:
        import torch

        from geocomiss.engine import fast_bfloat16
        from geocomiss.threads import cores
    except ImportError as error:
        todo = "install it again: pip install -c constraints.txt -e ."
        yield Finding("torch", f"cannot be loaded ({error})", "wrong", todo)
        return
    processors = cores()
    threads = torch.get_num_threads()
    told = f"{torch.__version__}, {threads} threads on {processors} processors"
    if threads > processors:
        yield Finding("torch", told, "note", f"more than processors: set OMP_NUM_THREADS={processors}")
    else:
        yield Finding("torch", told)
    numbers = "fast: maps are computed in bfloat16" if fast_bfloat16() else "slow here: maps in float32"
    yield Finding("bfloat16 on the processor", numbers)
    yield _cuda()


def _cuda() -> Finding:
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return Finding("CUDA", f"{properties.name}, {properties.total_memory / GIGA:.0f} GB")
    if shutil.which("nvidia-smi"):
        todo = "install the torch build for your driver's CUDA (see pytorch.org), or check the driver"
        return Finding("CUDA", "a graphics card that torch cannot use", "note", todo)
    return Finding("CUDA", "no device: networks run on the processor")


def _memory() -> Finding:
    total = _memory_bytes()
    if total is None:
        return Finding("memory", "cannot be told on this system")
    told = f"{total / GIGA:.1f} GB"
    if total < LITTLE_MEMORY * GIGA:
        return Finding("memory", told, "note", "use a smaller --tile, such as 256, where it does not suffice")
    return Finding("memory", told)


def _memory_bytes() -> int | None:
    """What this process may use, within the limit of a container."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None
    for path in LIMITS:
        try:
            total = min(total, int(path.read_text()))
        except (OSError, ValueError):  # no such limit, or 'max'
            continue
    return total


def _disk(folder: Path) -> Finding:
    """Room, and whether it can be written to."""
    what = f"disk at {folder}"
    try:
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        why = error.strerror or type(error).__name__
        return Finding(
            what, f"cannot be written ({why})", "wrong", "choose another --folder, or change its permissions"
        )
    told = f"{free / GIGA:.1f} GB free"
    if free < LITTLE_DISK * GIGA:
        return Finding(what, told, "note", "free some: maps and what is fetched for them take gigabytes")
    return Finding(what, told)


def _credentials(home: Path, options: EarthEngine) -> Finding:
    """Whether there are any for Earth Engine; nothing of them is read."""
    named = os.environ.get(PROJECT)
    project = "--ee-project is given" if options.project else f"{PROJECT} is {'set' if named else 'not set'}"
    given = _given(options.credentials)
    key = None if given else os.environ.get(KEY)
    if key and not Path(key).is_file():
        todo = f"correct {KEY}, or unset it"
        return Finding("Earth Engine", f"{KEY} names a file that is not there; {project}", "note", todo)
    held = [given] if given else _found(home, key)
    if not held:
        todo = "for --source ee: `earthengine authenticate`, and a registered Cloud project"
        return Finding("Earth Engine", f"no credentials; {project}", "note", todo)
    if not (options.project or named):
        todo = f"set {PROJECT}, or give --ee-project"
        return Finding("Earth Engine", f"{', '.join(held)}; {project}", "note", todo)
    return Finding("Earth Engine", f"{', '.join(held)}; {project}")


def _given(credentials: str) -> str:
    """What --ee-credentials brings along, '' where credentials are to be looked for."""
    if credentials == "none":
        return "no credentials wanted (--ee-credentials none)"
    return "the key file of --ee-credentials" if Path(credentials).is_file() else ""


def _found(home: Path, key: str | None) -> list[str]:
    """Credentials that lie where they usually do."""
    places = {
        "a login of `earthengine authenticate`": (home / LOGIN).is_file(),
        KEY: bool(key),
        "application default credentials": (home / DEFAULT_LOGIN).is_file(),
    }
    return [name for name, there in places.items() if there]
