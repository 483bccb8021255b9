"""The table of readers: each real table has exactly one."""

import pytest

from geocomiss.errors import SampleError
from geocomiss.samples.readers import READERS, read_contents, reader_of


def test_each_real_table_has_one_reader(shared):
    tables = sorted((shared / "data" / "samples").iterdir())
    assert tables
    for path in tables:
        assert sum(reader.recognise(path) for reader in READERS) == 1, path.name


def test_what_is_no_table_has_none(shared, tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    for path in (tmp_path, tmp_path / "empty", tmp_path / "nowhere", shared / "data" / "aoi"):
        assert reader_of(path) is None
    with pytest.raises(SampleError, match=r"\.npz.*WorldCereal.*CropHarvest"):
        read_contents(tmp_path / "empty")
    with pytest.raises(SampleError, match="there is no samples table"):
        read_contents(tmp_path / "nowhere")
