"""Unpacking archives from elsewhere, whole or not at all, and only into their own folder."""

import gzip
import platform
import shutil
import tarfile
import zlib
from pathlib import Path
from typing import Final

from geocomiss.errors import SourceError

CHUNK: Final = 1 << 20


def unpack(archive: Path, folder: Path) -> None:
    """Unpack NAME.tar.gz to the folder NAME and remove it.

    The archive may hold the folder NAME or what belongs into it. Members that would land elsewhere
    (absolute paths, `..`, links that leave, devices) are refused. The folder appears by rename.

    Args:
        archive: Gzipped tar file.
        folder: Folder that must not exist yet.

    Raises:
        SourceError: It is damaged or refused, and removed; or there is no space; or this Python
            cannot keep members inside the folder.
    """
    _check_python()
    working = folder.with_name(f".{folder.name}.unpacking")
    shutil.rmtree(working, ignore_errors=True)  # what a killed run left
    try:
        working.mkdir()
        _extract(archive, working)
        inner = working / folder.name
        (inner if inner.is_dir() else working).replace(folder)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        archive.unlink()
        raise _unusable(archive, error) from error
    except OSError as error:
        raise SourceError(
            f"{archive.name} cannot be unpacked ({error.strerror or error})",
            expected="a writable folder with free space",
            todo="free space; the same command then goes on",
        ) from error
    finally:
        shutil.rmtree(working, ignore_errors=True)
    archive.unlink()


def _check_python() -> None:
    if not hasattr(tarfile, "data_filter"):  # Python 3.11.4, and what distributions have taken over
        raise SourceError(
            f"Python {platform.python_version()}, which cannot unpack an archive safely",
            expected="Python 3.11.4 or newer",
            todo="update Python, or unpack the archive yourself into the same folder",
        )


def _extract(archive: Path, folder: Path) -> None:
    with gzip.open(archive) as stream:
        with tarfile.open(fileobj=stream, mode="r|") as tar:
            for member in tar:
                tar.extract(member, folder, filter="data")
        while stream.read(CHUNK):  # to the end, where the checksum of the whole stands
            pass


def _unusable(archive: Path, error: Exception) -> SourceError:
    """What to say of an archive that is damaged, or that does not stay inside."""
    if isinstance(error, tarfile.FilterError):
        return SourceError(
            f"{archive.name} wants to write outside its folder ({error})",
            expected="files inside it only",
            todo="do not trust this archive; check --url",
        )
    return SourceError(
        f"{archive.name} is damaged or truncated ({error})",
        expected="a whole .tar.gz archive",
        todo="give the same command again to download it anew",
    )
