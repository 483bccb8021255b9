"""A map to look at, made once."""

from pathlib import Path

import pytest
from packaged import NASTY, packaged


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole map folder whose classes have nasty names."""
    return packaged(tmp_path_factory.mktemp("viewed"), NASTY)
