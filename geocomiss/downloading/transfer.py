"""One file over HTTP that goes on where it stopped.

Bytes gather in `NAME.part`; `NAME.part.json` says of which version of the file they are. The final name
appears by rename, when all bytes are there and, where it is known, the MD5 is right. So a process may be
killed at any time.
"""

import hashlib
import http.client
import json
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from geocomiss import __version__
from geocomiss.errors import SourceError

CHUNK: Final = 1 << 18
"""Most bytes that are read at once."""
PAUSES: Final = [1.0, 4.0, 10.0]
"""Seconds before each further try; a try that brings bytes starts the count anew."""
TIMEOUT: Final = 60.0
"""Seconds without a byte after which a connection counts as lost."""
BUSY: Final = (408, 429, 500, 502, 503, 504)
"""Answers that may be different in a moment."""
NOT_SATISFIABLE: Final = 416
PARTIAL: Final = 206

Progress = Callable[[str, int, int | None], None]
"""Told (file, bytes done, bytes in all or None)."""


@dataclass(frozen=True)
class Remote:
    """A file elsewhere."""

    url: str
    """Its address."""
    name: str
    """Its name, for messages."""
    md5: str | None = None
    """Its MD5, lower-case hexadecimal, where published."""


@dataclass(frozen=True)
class Version:
    """Which version of a file bytes belong to."""

    url: str
    """Address they came from."""
    validator: str | None
    """ETag or date of change by which the server knows it."""
    total: int | None
    """Its size in bytes, where the server says."""


class _Changed(Exception):
    """The bytes that are there are not of the file as it is now."""

    def __str__(self) -> str:
        return "the file keeps changing"


def open_url(url: str, headers: dict[str, str] | None = None) -> Any:
    """Open a URL; a context manager to read from. Raises OSError or HTTPException."""
    agent = {"User-Agent": f"geocomiss/{__version__}", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers=agent | (headers or {}))
    return urllib.request.urlopen(request, timeout=TIMEOUT)


def download(remote: Remote, target: Path, progress: Progress | None = None) -> int:
    """Download a file, going on from an earlier attempt.

    Args:
        remote: What to download.
        target: File that appears once all is there.
        progress: Told of each block.

    Returns:
        Bytes that travelled.

    Raises:
        SourceError: The file is not there, the connection keeps breaking, the disk is full, or the
            file is not what was published.
    """
    part = target.with_name(f"{target.name}.part")
    travelled = 0
    if not target.exists():
        travelled = _gather(remote, part, progress)
        _check_md5(remote, part)
        part.replace(target)
    _forget(part)
    return travelled


def _gather(remote: Remote, part: Path, progress: Progress | None) -> int:
    """Connect again and again until the part is complete; bytes that travelled."""
    travelled, tries = 0, 0
    while True:
        try:
            for size in _transfer(remote, part, progress):
                travelled, tries = travelled + size, 0
            return travelled
        except _Changed as error:
            _forget(part)
            reason: Exception = error
        except (OSError, http.client.HTTPException) as error:
            reason = error
        if tries == len(PAUSES) or not _may_pass(reason):
            raise _failed(remote, part, reason) from reason
        time.sleep(PAUSES[tries])
        tries += 1


def _transfer(remote: Remote, part: Path, progress: Progress | None) -> Iterator[int]:
    """One connection: add what is missing to the part, telling the size of each block.

    Raises:
        _Changed: The part is of another version.
        OSError, HTTPException: The connection broke or was refused.
    """
    version = _version(part, remote.url)
    have = part.stat().st_size if version else 0
    if version and have and have == version.total:
        return
    try:
        answer = open_url(remote.url, _range(have, version))
    except urllib.error.HTTPError as error:
        if error.code == NOT_SATISFIABLE and have:
            raise _Changed from error
        raise
    with answer:
        now, start = _meaning(answer, remote.url)
        if start and (start != have or version is None or now.total != version.total):
            raise _Changed
        if not start:
            _begin(part, now)
        _check_space(remote, part, (now.total or 0) - start)
        yield from _append(answer, remote, part, start, now.total, progress)
    if now.total is not None and part.stat().st_size < now.total:
        raise ConnectionError("the connection ended early")


def _append(
    answer: Any, remote: Remote, part: Path, start: int, total: int | None, progress: Progress | None
) -> Iterator[int]:
    with part.open("r+b") as file:
        file.seek(start)
        file.truncate()
        while block := answer.read1(CHUNK):  # what has come: a slow line loses little
            try:
                file.write(block)
                file.flush()
            except OSError as error:
                raise _unwritable(part, error) from error
            start += len(block)
            if progress:
                progress(remote.name, start, total)
            yield len(block)


def _range(have: int, version: Version | None) -> dict[str, str]:
    """Headers that ask for what is missing, unless the file has changed."""
    if not have or version is None:
        return {}
    same = {"If-Range": version.validator} if version.validator else {}
    return {"Range": f"bytes={have}-"} | same


def _meaning(answer: Any, url: str) -> tuple[Version, int]:
    """Which version of the file a server sends, and from which byte on."""
    headers, start, total = answer.headers, 0, answer.headers.get("Content-Length")
    if answer.status == PARTIAL:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range", "").strip())
        if not match:
            raise _Changed
        start, total = int(match[1]), match[2]
    etag = headers.get("ETag")
    # a weak ETag does not promise equal bytes
    validator = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")
    return Version(url, validator, int(total) if total else None), start


def _begin(part: Path, version: Version) -> None:
    """An empty part of a version; in this order, so that old bytes never get a new version."""
    try:
        part.write_bytes(b"")
        _about(part).write_text(json.dumps(asdict(version)), encoding="utf-8")
    except OSError as error:
        raise _unwritable(part, error) from error


def _version(part: Path, url: str) -> Version | None:
    """Of which version the part is; None where there is none, or from elsewhere."""
    try:
        version = Version(**json.loads(_about(part).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return version if part.is_file() and version.url == url else None


def _forget(part: Path) -> None:
    for path in (_about(part), part):
        path.unlink(missing_ok=True)


def _about(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _may_pass(error: Exception) -> bool:
    return not isinstance(error, urllib.error.HTTPError) or error.code in BUSY


def _check_space(remote: Remote, part: Path, needed: int) -> None:
    free = shutil.disk_usage(part.parent).free
    if needed > free:
        raise SourceError(
            f"{remote.name} needs {needed / 1e6:,.0f} MB more, and {free / 1e6:,.0f} MB are free",
            expected="space for the file, and as much again where it is an archive",
            todo="free space or choose another --root; the same command then goes on",
        )


def _check_md5(remote: Remote, part: Path) -> None:
    if remote.md5 is None:
        return
    with part.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != remote.md5:
        _forget(part)
        raise SourceError(
            f"{remote.name} has the MD5 {found}",
            expected=f"{remote.md5}, as published",
            todo="give the same command again to download it anew; if that does not help, check --url",
        )


def _failed(remote: Remote, part: Path, error: Exception) -> SourceError:
    """What to say when no further try is made."""
    if isinstance(error, urllib.error.HTTPError):
        found = f"{remote.url} answers {error.code} {error.reason}"
        return SourceError(found, expected="the file", todo="check --url, or try again later")
    reason = getattr(error, "reason", None) or error
    have = part.stat().st_size if part.exists() else 0
    return SourceError(
        f"{remote.url} was interrupted after {have:,} bytes ({reason})",
        expected="a connection that holds",
        todo="give the same command again: it goes on from there",
    )


def _unwritable(part: Path, error: OSError) -> SourceError:
    return SourceError(
        f"{part} cannot be written ({error.strerror or error})",
        expected="a writable folder with free space",
        todo="free space or choose another --root; the same command then goes on",
    )
