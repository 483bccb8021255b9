"""Byte ranges of files over HTTP: connections are kept, what passes is tried again, requests are counted."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

CONNECTIONS: Final = 32
"""Kept open for each server: as many as blocks in work read images side by side."""
TIMEOUT: Final = (20.0, 30.0)
"""Seconds to connect, and without a byte, after which a server counts as gone."""
RETRIES: Final = Retry(
    total=5,
    connect=2,
    read=2,
    backoff_factor=0.5,
    status_forcelist=(408, 429, 500, 502, 503, 504),
    respect_retry_after_header=True,
    raise_on_status=False,
)
"""After 0.5, 1, 2, 4, 8 s, or what the server asks for; less often where nothing answers at all."""
BROKEN: Final = 3
"""How often a range is asked for whose answer breaks off."""


class Unreadable(Exception):
    """A file that cannot be read. `args[0]`: why, in words."""


class Unranged(Exception):
    """A server that sends whole files only."""


@dataclass(frozen=True)
class Answer:
    """A range of a file."""

    content: bytes
    """The bytes; fewer than asked for where the file ends."""
    size: int
    """Bytes of the whole file; 0 where the server does not tell."""


class Web:
    """Reads ranges; safe for threads.

    Args:
        count: Told (bytes, requests), as they come.
    """

    def __init__(self, count: Callable[[int, int], None]) -> None:
        self._lock, self._count = threading.Lock(), count
        self._session: requests.Session | None = None

    def get(self, address: str, first: int, number: int) -> Answer:
        """`number` bytes of a file from `first` on.

        Raises:
            Unreadable: There is no such file, or the server fails again and again.
            Unranged: The server does not send parts of files.
        """
        for attempt in range(1, BROKEN + 1):
            try:
                return self._get(address, first, number)
            except requests.exceptions.ChunkedEncodingError as error:
                if attempt == BROKEN:
                    raise Unreadable("the answer breaks off") from error
            except requests.RequestException as error:
                raise Unreadable(_words(error)) from error
        raise Unreadable("the answer breaks off")

    def _get(self, address: str, first: int, number: int) -> Answer:
        wanted = {"Range": f"bytes={first}-{first + number - 1}", "Accept-Encoding": "identity"}
        with self._opened().get(address, headers=wanted, timeout=TIMEOUT, stream=True) as answer:
            tried = getattr(answer.raw.retries, "history", ())
            self._count(0, 1 + len(tried) + len(answer.history))
            if answer.status_code == 200:
                raise Unranged
            if answer.status_code == 416:
                raise Unreadable("the file ends too early")
            if answer.status_code != 206:
                raise Unreadable(f"HTTP {answer.status_code}")
            content = answer.content
            self._count(len(content), 0)
            told = answer.headers.get("Content-Range", "").rpartition("/")[2]
            return Answer(content, int(told) if told.isdecimal() else 0)

    def _opened(self) -> requests.Session:
        with self._lock:
            if self._session is None:
                self._session = requests.Session()
                for scheme in ("https://", "http://"):
                    adapter = HTTPAdapter(pool_maxsize=CONNECTIONS, max_retries=RETRIES)
                    self._session.mount(scheme, adapter)
            return self._session


def _words(error: requests.RequestException) -> str:
    """What went wrong, without the address, which may hold a token."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return type(error).__name__
