"""An interrupted sampling goes on where it stopped and ends with the same bytes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sampling_places import at

from geocomiss.errors import SampleError
from geocomiss.sampling import SamplingRequest, sample_points

RUN = """
import sys, time
from pathlib import Path
import geocomiss.sampling.run as run
from geocomiss.sampling import SamplingRequest, sample_points
real = run.read_part
def slowly(plan, part):
    time.sleep(0.05)
    return real(plan, part)
run.read_part = slowly
sample_points(SamplingRequest(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), season="2021", tile=8))
"""


@pytest.fixture
def points(write: Callable[..., Path]) -> Path:
    places = [at(r + 0.5, c + 0.5) for r in range(2, 45, 8) for c in range(2, 60, 8)]
    return write(places, ["a", "b"] * (len(places) // 2))


def kept(out: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in out.with_name(f"{out.name}.partial").glob("*.npz")}


@pytest.mark.slow
def test_a_killed_sampling_goes_on(points: Path, stack: Path, tmp_path: Path) -> None:
    out = tmp_path / "samples.parquet"
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(points), str(stack), str(out)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    while len(kept(out)) < 3 and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = kept(out)
    assert 3 <= len(done) < 48, "killed in the middle"
    assert not out.exists()
    again = subprocess.Popen(
        [sys.executable, "-c", RUN, str(points), str(stack), str(out)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    while again.poll() is None and len(now := kept(out)) < min(len(done) + 2, 48):
        assert all(now[name] == when for name, when in done.items() if name in now), "read again"
        time.sleep(0.002)
    assert again.wait(timeout=120) == 0
    whole = tmp_path / "undisturbed.parquet"
    sample_points(SamplingRequest(points, str(stack), whole, season="2021", tile=8))
    assert out.read_bytes() == whole.read_bytes()
    assert not out.with_name("samples.parquet.partial").exists()


def test_kept_work_counts_only_for_the_same_request(
    points: Path, stack: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import geocomiss.sampling.run as run

    request = SamplingRequest(points, str(stack), tmp_path / "samples.parquet", season="2021", tile=8)
    real, reads = run.read_part, []

    def fails(plan: run.Plan, part: run.Part) -> run.PartSeries:
        if len(reads) == 4:
            raise SampleError("cut", expected="more", todo="go on")
        reads.append(part.name)
        return real(plan, part)

    monkeypatch.setattr(run, "read_part", fails)
    with pytest.raises(SampleError, match="cut"):
        sample_points(request)
    assert len(kept(request.out)) == 4
    with pytest.raises(SampleError, match="unfinished sampling with other tile"):
        sample_points(replace(request, tile=9))
    damaged = next(request.out.with_name("samples.parquet.partial").glob("*.npz"))
    damaged.write_bytes(damaged.read_bytes()[:100])
    reads.clear()
    monkeypatch.setattr(run, "read_part", lambda plan, part: reads.append(part.name) or real(plan, part))
    report = sample_points(request)
    assert report.n == 48
    assert damaged.stem in reads and len(reads) == 48 - 3
