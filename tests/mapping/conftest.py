"""Fixtures of the mapping tests."""

from collections.abc import Callable
from pathlib import Path

import pytest
from gappy import gappy_groups, store, untrained


@pytest.fixture
def gappy_stack(tmp_path: Path) -> Path:
    """A stored stack with gaps."""
    return store(tmp_path, gappy_groups())


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An untrained model that fits `gappy_stack`."""
    return untrained(tmp_path)


@pytest.fixture
def make_model(tmp_path: Path) -> Callable[..., Path]:
    """Untrained models with other cards."""
    return lambda **changes: untrained(tmp_path / "other", **changes)
