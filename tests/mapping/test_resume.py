"""An interrupted map goes on where it stopped and ends as if nothing had happened."""

import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

RUN = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from geocomiss.errors import GeocomissError
from geocomiss.mapping import MapRequest, make_map
try:
    make_map(MapRequest(sys.argv[1], Path(sys.argv[2]), model=sys.argv[3], tile=8))
except GeocomissError as error:
    print(error)
    sys.exit(1)
"""
FILES = ("crop_type.tif", "crop_type.tif.aux.xml", "confidence.tif", "modalities.tif", "observations.tif")
TILES = 48


def start(stack: Path, out: Path, model: Path, file_limit: int | None = None) -> subprocess.Popen[str]:
    def limit() -> None:
        if file_limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(stack), str(out), str(model)],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=limit,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def recorded(out: Path) -> list[str]:
    manifest = out / "tiles" / "manifest.jsonl"
    lines = manifest.read_text().splitlines() if manifest.exists() else []
    return [json.loads(line)["tile"] for line in lines if line.endswith("}")]


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return output


@pytest.fixture
def undisturbed(gappy_stack: Path, model: Path, tmp_path: Path) -> Path:
    finish(start(gappy_stack, tmp_path / "undisturbed", model))
    return tmp_path / "undisturbed"


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 20])
def test_a_killed_map_goes_on_and_ends_byte_identical(
    gappy_stack: Path, model: Path, tmp_path: Path, undisturbed: Path, after: int
) -> None:
    out = tmp_path / "map"
    process = start(gappy_stack, out, model)
    while len(recorded(out)) < after and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = recorded(out)
    assert after <= len(done) < TILES, "killed in the middle"
    assert not (out / "run.json").exists()
    before = {name: (out / "tiles" / f"{name}.npz").stat().st_mtime_ns for name in done}

    second = start(gappy_stack, out, model)
    while len(recorded(out)) < min(len(done) + 5, TILES) and second.poll() is None:
        time.sleep(0.002)
    kept = {name: out / "tiles" / f"{name}.npz" for name in done}
    if second.poll() is None:  # the folder goes once the map is finished
        assert all(path.stat().st_mtime_ns == before[name] for name, path in kept.items() if path.exists())
    finish(second)
    assert all((out / name).read_bytes() == (undisturbed / name).read_bytes() for name in FILES)
    assert not (out / "tiles").exists()


@pytest.mark.slow
def test_a_full_disk_is_said_and_the_map_goes_on_later(
    gappy_stack: Path, model: Path, tmp_path: Path, undisturbed: Path
) -> None:
    out = tmp_path / "map"
    process = start(gappy_stack, out, model, file_limit=4000)  # no tile is as large, the manifest outgrows it
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "cannot be written" in output
    assert len(output.splitlines()) == 1
    assert 0 < len(recorded(out)) < TILES
    assert sorted(path.name for path in out.iterdir()) == ["tiles"]
    finish(start(gappy_stack, out, model))
    assert all((out / name).read_bytes() == (undisturbed / name).read_bytes() for name in FILES)
