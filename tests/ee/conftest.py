"""A loopback Earth Engine for all tests of this folder, and what reaches it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from ee_server import EarthEngineServer, serving

from geocomiss.sources.base import EarthEngine, Reading
from geocomiss.sources.ee.source import EarthEngineSource


@pytest.fixture(scope="session")
def loopback() -> Iterator[EarthEngineServer]:
    with serving() as server:
        yield server


@pytest.fixture
def server(loopback: EarthEngineServer) -> Iterator[EarthEngineServer]:
    """A server that behaves; whatever a test sets is forgotten afterwards."""
    loopback.set()
    yield loopback
    loopback.settle()  # a client that gave up may have a request under way: the next test must not see it
    loopback.set()


@pytest.fixture
def options(server: EarthEngineServer) -> EarthEngine:
    return EarthEngine("my-project", server.url, "none", parallel=8, deadline=20.0, attempts=4, pause=0.01)


@pytest.fixture
def reading(options: EarthEngine, tmp_path: Path) -> Reading:
    return Reading(ee=options, keep=tmp_path / "kept")


@pytest.fixture
def source(reading: Reading) -> EarthEngineSource:
    return EarthEngineSource(None, reading)
