"""`geocomiss data cropharvest` against a server on loopback."""

import hashlib
import io
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from geocomiss.downloading import ZENODO, download_cropharvest
from geocomiss.downloading.archives import unpack
from geocomiss.downloading.checksums import md5_of_list, md5_of_record
from geocomiss.errors import SourceError
from geocomiss_cli.main import app

ROOT = Path(__file__).resolve().parents[2]
ARRAY = random.Random(3).randbytes(60_000)


def archive(members):
    """A .tar.gz of names and contents; a content that is a `TarInfo` is taken as it is."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            body = b"" if isinstance(content, tarfile.TarInfo) else content
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return buffer.getvalue()


@pytest.fixture
def published(site):
    site.files |= {
        "labels.geojson": b'{"type": "FeatureCollection", "features": []}',
        "features.tar.gz": archive(
            {"features/arrays/0_togo.h5": ARRAY, "features/normalizing_dict.h5": b"n"}
        ),
        "test_features.tar.gz": archive({"test_features/togo-eval.h5": b"t"}),
    }
    return site


def sums(site, **changes):
    lines = [f"{hashlib.md5(content).hexdigest()}  {name}" for name, content in site.files.items()]
    site.files["md5sums.txt"] = "\n".join(lines).encode()


def tree(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


WHOLE = [
    "features/arrays/0_togo.h5", "features/normalizing_dict.h5", "labels.geojson",
    "test_features/togo-eval.h5",
]  # fmt: skip


def test_everything_is_there_under_its_name(published, tmp_path):
    sums(published)
    fetched = download_cropharvest(tmp_path / "ch", published.url)
    assert tree(tmp_path / "ch") == WHOLE and all(each.checked for each in fetched)
    assert (tmp_path / "ch" / WHOLE[0]).read_bytes() == ARRAY


def test_a_second_run_asks_for_nothing(published, tmp_path):
    download_cropharvest(tmp_path, published.url)
    published.asked.clear()
    assert [each.bytes for each in download_cropharvest(tmp_path, published.url + "/")] == [0, 0, 0]
    assert not published.asked


def test_only_what_is_missing_is_fetched(published, tmp_path):
    (tmp_path / "features").mkdir()
    download_cropharvest(tmp_path, published.url)
    assert not {"features.tar.gz"} & {name for name, _ in published.asked}


def test_a_wrong_hash_is_refused(published, tmp_path):
    sums(published)
    published.files["features.tar.gz"] += b"x"
    with pytest.raises(SourceError, match=r"features\.tar\.gz has the MD5"):
        download_cropharvest(tmp_path, published.url)
    assert tree(tmp_path) == ["labels.geojson"]


@pytest.mark.parametrize("kept", [0.3, 0.9, 0.9999])
def test_a_truncated_archive_is_refused_and_fetched_again(published, tmp_path, kept):
    good = published.files["features.tar.gz"]
    published.files["features.tar.gz"] = good[: int(len(good) * kept)]
    with pytest.raises(SourceError, match="damaged or truncated"):
        download_cropharvest(tmp_path, published.url)
    assert tree(tmp_path) == ["labels.geojson"] and not (tmp_path / "features").exists()
    published.files["features.tar.gz"] = good
    download_cropharvest(tmp_path, published.url)
    assert tree(tmp_path) == WHOLE


def link(target):
    info = tarfile.TarInfo("features/link")
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


def device():
    info = tarfile.TarInfo("features/null")
    info.type = tarfile.CHRTYPE
    return info


UNSAFE = {
    "parent": {"../outside": b"x"},
    "hidden parent": {"features/../../outside": b"x"},
    "link outside": {"features/link": link("../../outside")},
    "link to the root": {"features/link": link("/etc/passwd")},
    "device": {"features/null": device()},
}


@pytest.mark.parametrize("kind", UNSAFE)
def test_an_archive_that_leaves_its_folder_is_refused(tmp_path, kind):
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "features.tar.gz").write_bytes(archive({"features/ok": b"ok"} | UNSAFE[kind]))
    with pytest.raises(SourceError, match="outside its folder"):
        unpack(inside / "features.tar.gz", inside / "features")
    assert not tree(inside) and not (tmp_path / "outside").exists()


def test_an_archive_without_a_top_folder_gets_one(tmp_path):
    (tmp_path / "features.tar.gz").write_bytes(archive({"arrays/a.h5": b"a"}))
    (tmp_path / ".features.unpacking").mkdir()  # a killed run's
    (tmp_path / ".features.unpacking" / "half").write_bytes(b"half")
    unpack(tmp_path / "features.tar.gz", tmp_path / "features")
    assert tree(tmp_path) == ["features/arrays/a.h5"]


@pytest.mark.parametrize("url", ["file:///etc", "ftp://host/x", "host/x", "http://"])
def test_only_web_addresses_are_taken(tmp_path, url):
    with pytest.raises(SourceError, match="http"):
        download_cropharvest(tmp_path, url)


def test_a_root_that_cannot_be_made_is_said(published, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="cannot be made"):
        download_cropharvest(tmp_path / "file", published.url)


def test_sums_are_read_from_records_and_lists():
    record = '{"files": [{"key": "a", "checksum": "md5:%s"}, {"key": "b", "checksum": "x"}]}' % ("A" * 32)
    assert md5_of_record(record) == {"a": "a" * 32}
    assert md5_of_record("<html>") == {} == md5_of_record("[]")
    assert md5_of_list(f"{'b' * 32} *a b.bin\n\nnot a line\n") == {"a b.bin": "b" * 32}
    assert ZENODO.match("https://zenodo.org/record/10251170/files")[1] == "10251170"
    assert not ZENODO.match("https://zenodo.org.example.com/record/1/files")


def test_the_command_says_what_it_did(published, tmp_path):
    arguments = ["data", "cropharvest", "--root", str(tmp_path), "--url", published.url]
    first = CliRunner().invoke(app, arguments)
    assert first.exit_code == 0 and "no MD5 published" in first.output and "is_crop" in first.output
    assert CliRunner().invoke(app, arguments).output.count("there already") == 3


COMMAND = "from geocomiss_cli.main import main; main()"


def start(root, url):
    arguments = [sys.executable, "-c", COMMAND, "data", "cropharvest", "--root", str(root), "--url", url]
    path = os.pathsep.join([str(ROOT), str(ROOT / "cli")])
    return subprocess.Popen(arguments, env=os.environ | {"PYTHONPATH": path}, stderr=subprocess.PIPE)


def test_a_killed_process_goes_on_when_started_again(published, tmp_path):
    published.pause = 0.02
    part = tmp_path / "features.tar.gz.part"
    process = start(tmp_path, published.url)
    deadline = time.monotonic() + 30
    while not (part.exists() and part.stat().st_size > 10_000):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    have = part.stat().st_size
    published.pause = 0.0
    assert not (tmp_path / "features").exists()
    process = start(tmp_path, published.url)
    assert process.wait(30) == 0
    process.stderr.close()
    assert tree(tmp_path) == WHOLE and (tmp_path / WHOLE[0]).read_bytes() == ARRAY
    assert ("features.tar.gz", f"bytes={have}-") in published.asked


def test_an_error_of_the_command_is_one_line(published, tmp_path):
    process = start(tmp_path, published.url + "/elsewhere")
    message = process.stderr.read().decode()
    assert process.wait(30) == 1 and process.stderr.close() is None
    assert message.count("error:") == 1 and "404" in message and "Traceback" not in message
