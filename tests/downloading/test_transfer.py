"""Files over HTTP: whole, resumed, checked, or a clear error."""

import hashlib
import random
import shutil
from collections import namedtuple

import pytest

from geocomiss.downloading import transfer
from geocomiss.downloading.transfer import Remote, download
from geocomiss.errors import SourceError

CONTENT = random.Random(1).randbytes(300_000)


@pytest.fixture
def fetch(site, tmp_path):
    site.files["a.bin"] = CONTENT

    def fetch(md5=None, told=None):
        return download(Remote(f"{site.url}/a.bin", "a.bin", md5), tmp_path / "a.bin", told)

    return fetch


def left_behind(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_arrives_whole_and_alone(fetch, tmp_path):
    told = []
    assert fetch(hashlib.md5(CONTENT).hexdigest(), lambda *each: told.append(each)) == len(CONTENT)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT and left_behind(tmp_path) == ["a.bin"]
    assert told[-1] == ("a.bin", len(CONTENT), len(CONTENT))


def test_what_is_there_is_not_asked_for(fetch, site):
    fetch()
    site.asked.clear()
    assert fetch() == 0 and not site.asked


def test_a_broken_connection_goes_on_without_fetching_a_byte_twice(fetch, site, tmp_path):
    site.cut = [100_000, 50_000]
    assert fetch() == len(CONTENT)
    assert (tmp_path / "a.bin").read_bytes() == CONTENT
    assert [wanted for _, wanted in site.asked] == [None, "bytes=100000-", "bytes=150000-"]
    assert site.sent["a.bin"] == len(CONTENT)


def test_a_connection_that_keeps_breaking_ends_in_an_error_and_the_next_run_goes_on(fetch, site, tmp_path):
    site.cut = [80_000, 0, 0, 0]
    with pytest.raises(SourceError, match=r"interrupted after 80,000 bytes.*goes on"):
        fetch()
    assert not (tmp_path / "a.bin").exists()
    assert fetch() == len(CONTENT) - 80_000
    assert (tmp_path / "a.bin").read_bytes() == CONTENT and site.sent["a.bin"] == len(CONTENT)


@pytest.mark.parametrize("etags", [True, False])
def test_a_file_that_changed_meanwhile_is_fetched_anew(fetch, site, tmp_path, etags):
    site.etags = etags
    site.cut = [80_000, 0, 0, 0]
    with pytest.raises(SourceError):
        fetch()
    site.files["a.bin"] = other = random.Random(2).randbytes(310_000)
    fetch()
    assert (tmp_path / "a.bin").read_bytes() == other


def test_a_file_that_shrank_is_fetched_anew(fetch, site, tmp_path):
    site.cut, site.etags = [80_000, 0, 0, 0], False
    with pytest.raises(SourceError):
        fetch()
    site.files["a.bin"] = CONTENT[:70_000]
    fetch()
    assert (tmp_path / "a.bin").read_bytes() == CONTENT[:70_000]


def test_a_server_without_ranges_sends_all_again(fetch, site, tmp_path):
    site.ranges = False
    site.cut = [100_000]
    assert fetch() == len(CONTENT) + 100_000
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


@pytest.mark.parametrize("damage", ["about", "part", "more"])
def test_leftovers_that_do_not_fit_are_not_trusted(fetch, site, tmp_path, damage):
    site.cut = [80_000, 0, 0, 0]
    with pytest.raises(SourceError):
        fetch()
    part, about = tmp_path / "a.bin.part", tmp_path / "a.bin.part.json"
    if damage == "about":
        about.write_text("{}")
    elif damage == "part":
        part.unlink()
    else:
        part.write_bytes(CONTENT + b"more")
    fetch()
    assert (tmp_path / "a.bin").read_bytes() == CONTENT and left_behind(tmp_path) == ["a.bin"]


def test_a_part_from_another_address_is_not_continued(fetch, site, tmp_path):
    site.cut = [80_000, 0, 0, 0]
    with pytest.raises(SourceError):
        fetch()
    site.files["b.bin"] = CONTENT[::-1]
    download(Remote(f"{site.url}/b.bin", "b.bin"), tmp_path / "a.bin")
    assert (tmp_path / "a.bin").read_bytes() == CONTENT[::-1]


def test_a_complete_part_of_a_killed_run_needs_no_connection(fetch, site, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(transfer, "_check_md5", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            fetch()
    site.asked.clear()
    assert fetch() == 0 and not site.asked
    assert (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_wrong_md5_leaves_nothing(fetch, tmp_path):
    with pytest.raises(SourceError, match=r"has the MD5 [0-9a-f]{32}; expected 0000"):
        fetch("0" * 32)
    assert not left_behind(tmp_path)


def test_a_missing_file_is_said_at_once(site, tmp_path):
    with pytest.raises(SourceError, match=r"nowhere answers 404 Not Found.*--url"):
        download(Remote(f"{site.url}/nowhere", "nowhere"), tmp_path / "nowhere")
    assert len(site.asked) == 1 and not left_behind(tmp_path)


def test_a_busy_server_is_asked_again(fetch, site, tmp_path):
    site.busy = 2
    assert fetch() == len(CONTENT)
    (tmp_path / "a.bin").unlink()
    site.busy = 9
    with pytest.raises(SourceError, match="answers 503"):
        fetch()


def test_nobody_there_is_an_error(tmp_path):
    with pytest.raises(SourceError, match="refused"):
        download(Remote("http://127.0.0.1:9/a.bin", "a.bin"), tmp_path / "a.bin")


def test_an_empty_file_is_a_file(site, tmp_path):
    site.files["empty"] = b""
    assert download(Remote(f"{site.url}/empty", "empty"), tmp_path / "empty") == 0
    assert (tmp_path / "empty").read_bytes() == b""


def test_space_is_checked_before_it_runs_out(fetch, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1, 1, 1000))
    with pytest.raises(SourceError, match="are free"):
        fetch()
