"""What all tests share: where real data lie, no network, one thread, few examples."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# before numpy or torch start their pools: tests run side by side on few cores
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
LOOPBACK = ("127.0.0.1", "::1", "localhost")

settings.register_profile(
    "quick", deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.register_profile("thorough", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


class NetworkUsed(RuntimeError):
    """A test tried to leave this machine."""


def _check_address(address: Any) -> None:
    if isinstance(address, tuple) and address[0] not in LOOPBACK:
        raise NetworkUsed(f"a test tried to reach {address!r}; tests use no network")


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    """Only loopback: Dask's scheduler needs that much."""
    patch = pytest.MonkeyPatch()
    for name in ("connect", "connect_ex"):
        real = getattr(socket.socket, name)

        def guarded(self: socket.socket, address: Any, real: Any = real) -> Any:
            if self.family != getattr(socket, "AF_UNIX", None):
                _check_address(address)
            return real(self, address)

        patch.setattr(socket.socket, name, guarded)
    lookup = socket.getaddrinfo

    def guarded_lookup(host: Any, *args: Any, **kwargs: Any) -> Any:
        if host is not None:
            _check_address((host.decode() if isinstance(host, bytes) else host,))
        return lookup(host, *args, **kwargs)

    patch.setattr(socket, "getaddrinfo", guarded_lookup)
    yield
    patch.undo()


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    """One torch thread, where torch is used at all."""
    try:
        import torch
    except ImportError:
        return
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data beside the repository."""
    if not (SHARED / "data").is_dir():
        pytest.skip("no real data: the folder ../shared/data is not there")
    return SHARED
