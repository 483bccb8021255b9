"""HTTP for the client library: a connection for every worker, a deadline, and a count of what was sent.

The library has neither of its own: its pool holds 10 connections and it waits for ever.
"""

import threading
from collections import Counter
from typing import Any, Final

import httplib2
import requests
from requests.adapters import HTTPAdapter

CONNECT: Final = 20.0
"""Seconds to wait for a connection."""
QUOTA_STATUS: Final = "x-earth-engine-quota-status"
"""Header that tells of the restricted mode."""
RESTRICTED: Final = "parallelism_restricted=true"


class Transport:
    """Looks like `httplib2.Http` to the library.

    Args:
        connections: Most requests under way at a time.
        deadline: Seconds without a byte after which a request has failed.
    """

    def __init__(self, connections: int, deadline: float) -> None:
        self._session, self._timeout = requests.Session(), (CONNECT, deadline)
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=connections, pool_block=True))
        self._lock = threading.Lock()
        self.sent: Counter[str] = Counter()
        self.received = 0
        self.restricted = False

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: str | bytes | None = None,
        headers: dict[str, str] | None = None,
        redirections: int | None = None,
        connection_type: Any = None,
    ) -> tuple[httplib2.Response, bytes]:
        """Send a request and read its whole answer.

        Raises:
            ConnectionError: No connection, or one that broke off.
            TimeoutError: Nothing came within the deadline.
        """
        with self._lock:
            self.sent[uri.partition("?")[0].rsplit("/", 1)[-1]] += 1
        try:
            answer = self._session.request(
                method, uri, data=body, headers=headers, timeout=self._timeout, allow_redirects=False
            )
        except requests.Timeout as error:
            raise TimeoutError("no answer within the deadline") from error
        except requests.RequestException as error:  # an answer cut short, or one that does not unpack, too
            raise ConnectionError(type(error).__name__) from error
        with self._lock:
            self.received += len(answer.content)
            self.restricted |= RESTRICTED in answer.headers.get(QUOTA_STATUS, "")
        return httplib2.Response({**answer.headers, "status": answer.status_code}), answer.content

    def close(self) -> None:
        """Close all connections."""
        self._session.close()
