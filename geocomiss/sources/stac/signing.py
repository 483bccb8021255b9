"""Planetary Computer's tokens: without one its storage refuses to be read.

Tokens are free, hold for a storage container and expire (45 minutes within Azure, longer outside), so
each is kept and renewed shortly before its end, also in the middle of a long run. The service answers
429 when asked too often: requests back off and are sent again.
"""

import re
import threading
import time
from datetime import datetime
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from geocomiss.errors import SourceError

SERVICE: Final = "https://planetarycomputer.microsoft.com/api/sas/v1/token"
STORAGE: Final = re.compile(r"https://(?P<account>\w+)\.blob\.core\.windows\.net/(?P<container>[^/?]+)/")
"""Addresses that need a token."""
SPARE: Final = 120.0
"""Seconds before its end from which a token is renewed: a read may take as long."""
TIMEOUT: Final = 30.0
"""Seconds to wait for an answer."""
RETRIES: Final = Retry(
    total=8,
    connect=2,
    backoff_factor=1.0,
    status_forcelist=(429, 500, 502, 503, 504),
    respect_retry_after_header=True,
)
"""1, 2, 4, ... seconds, or what the service asks for."""


class Signer:
    """Adds tokens to addresses that need one, and leaves others alone.

    Args:
        service: Address of the token service.
        storage: Pattern of the addresses that need a token, with groups `account` and `container`.
        retries: How often and after how long a refused request is sent again.
    """

    def __init__(
        self, service: str = SERVICE, storage: re.Pattern[str] = STORAGE, retries: Retry = RETRIES
    ) -> None:
        self._service, self._storage, self._retries = service, storage, retries
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy for another process asks for tokens of its own."""
        return Signer, (self._service, self._storage, self._retries)

    def __call__(self, address: str) -> str:
        """The address with a valid token.

        Raises:
            SourceError: The service gives none.
        """
        match = self._storage.match(address)
        if match is None or "sig=" in address:
            return address
        with self._lock:  # one thread asks, the others find what it got
            token = self._token((match["account"], match["container"]))
        return f"{address}{'&' if '?' in address else '?'}{token}"

    def _token(self, key: tuple[str, str]) -> str:
        token, ends = self._tokens.get(key, ("", 0.0))
        if time.time() > ends - SPARE:
            token, ends = self._ask(f"{self._service}/{key[0]}/{key[1]}")
            self._tokens[key] = token, ends
        return token

    def _ask(self, address: str) -> tuple[str, float]:
        """A token, and when it ends in seconds since 1970."""
        try:
            with requests.Session() as session:
                for scheme in ("https://", "http://"):
                    session.mount(scheme, HTTPAdapter(max_retries=self._retries))
                answer = session.get(address, timeout=TIMEOUT)
                answer.raise_for_status()
                found = answer.json()
                return str(found["token"]), datetime.fromisoformat(str(found["msft:expiry"])).timestamp()
        except (requests.RequestException, ValueError, KeyError, TypeError) as error:
            raise SourceError(
                f"no token from {address} ({type(error).__name__})",
                expected="a token to read Planetary Computer's images",
                todo="try again in some minutes: the service limits how often it may be asked",
            ) from error
