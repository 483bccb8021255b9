"""Importing any module leaves no file behind and asks nothing of the network."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMPORT_ALL = """
import importlib, pkgutil, socket
def refuse(*args, **kwargs):
    raise SystemExit(f"the network was asked: {args}")
socket.socket.connect = socket.socket.connect_ex = refuse
socket.getaddrinfo = socket.gethostbyname = refuse
import geocomiss, geocomiss_cli
names = [each.name for package in (geocomiss, geocomiss_cli)
         for each in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""
WRITTEN = ("HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME")
"""Where libraries leave what they keep."""


def test_importing_every_module_creates_no_file_and_needs_no_network(tmp_path: Path) -> None:
    kept = ("MPLCONFIGDIR", "NUMBA_CACHE_DIR", "TORCH_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in kept} | {
        name: str(tmp_path / name) for name in WRITTEN
    }
    for name in WRITTEN:
        (tmp_path / name).mkdir()
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "cli")])
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    where = tmp_path / "elsewhere"
    where.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], env=environment, cwd=where, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    modules = [path for base in ("geocomiss", "cli") for path in (ROOT / base).rglob("*.py")]
    packages = 2  # the two that are imported by name
    assert int(done.stdout) == len(modules) - packages
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
