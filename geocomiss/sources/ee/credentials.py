"""Who asks: the project, the credentials and the address, as users of Earth Engine know them.

Nothing secret leaves this module: it is handed to the client library and stands in no message.
"""

import os
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import ee
import google.auth
from ee import oauth
from google.auth.exceptions import GoogleAuthError
from google.oauth2 import service_account

from geocomiss.errors import SourceError
from geocomiss.sources.base import EarthEngine

PROJECT: Final = "EARTHENGINE_PROJECT"
"""Environment variable that names the project."""
AUTO: Final = "auto"
NONE: Final = "none"
APPLICATION_DEFAULT: Final = "application-default"


@dataclass(frozen=True)
class Identity:
    """Who asks, and where."""

    credentials: Any
    """Credentials of google-auth; None where a gateway adds its own."""
    project: str
    """Cloud project that is charged."""
    url: str | None
    """Address of the API; None: Google's own."""


def identity(options: EarthEngine) -> Identity:
    """Who asks.

    Raises:
        SourceError: No project, no credentials, or an address that secrets must not be sent to.
    """
    url = checked_url(options.url)
    credentials = _credentials(options.credentials)
    named = (
        options.project,
        os.environ.get(PROJECT),
        getattr(credentials, "quota_project_id", None),
        getattr(credentials, "project_id", None),
    )
    project = next((name for name in named if name and not oauth.is_sdk_project(name)), None)
    if project is None:
        raise SourceError(
            "no Google Cloud project for Earth Engine",
            expected=f"--ee-project, or the environment variable {PROJECT}",
            todo="give the project that is registered for Earth Engine "
            "(https://console.cloud.google.com/earth-engine)",
        )
    return Identity(credentials, project, url)


def _credentials(named: str) -> Any:
    try:
        if named == NONE:
            return None
        if named == AUTO:
            return ee.data.get_persistent_credentials()
        if named == APPLICATION_DEFAULT:
            return google.auth.default(scopes=oauth.SCOPES)[0]
        return _of_key(Path(named))
    except (GoogleAuthError, ee.EEException) as error:
        raise SourceError(
            f"no credentials for Earth Engine ({type(error).__name__})",
            expected="a login of `earthengine authenticate`, or application default credentials",
            todo="log in with `earthengine authenticate`, or give a service account's key file as "
            "--ee-credentials",
        ) from None  # what the libraries say may quote the credentials


def _of_key(path: Path) -> Any:
    """Credentials of a service account's key file."""
    known = f"{AUTO!r}, {APPLICATION_DEFAULT!r}, {NONE!r}, or the key file of a service account"
    if not path.is_file():
        raise SourceError(f"--ee-credentials {path}", expected=known, todo="check the path")
    try:
        return service_account.Credentials.from_service_account_file(str(path), scopes=oauth.SCOPES)  # type: ignore[no-untyped-call]
    except (ValueError, KeyError, OSError):
        raise SourceError(
            f"{path.name} is not the key file of a service account",
            expected="JSON with client_email, token_uri and private_key",
            todo="download the key again, or take the credentials of `earthengine authenticate`",
        ) from None  # as above


def checked_url(url: str | None) -> str | None:
    """The address, if credentials may be sent to it; None stays None.

    Raises:
        SourceError: It is none, holds something secret, or is not encrypted.
    """
    if url is None:
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SourceError(
            "an --ee-url that is no address",
            expected="one such as https://gateway.example/earthengine",
            todo="correct it",
        ) from None  # its words may quote a password
    if parts.username or parts.password or parts.query or parts.fragment:
        raise SourceError(
            f"an --ee-url of {parts.hostname} with a user, password or query in it",
            expected="a bare address such as https://gateway.example/earthengine",
            todo="give secrets as --ee-credentials",
        )
    if not parts.hostname or (parts.scheme != "https" and not _is_loopback(parts.hostname)):
        raise SourceError(
            f"--ee-url {url}",
            expected="an address with https (http only for this machine itself)",
            todo="correct it",
        )
    return url.rstrip("/")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
