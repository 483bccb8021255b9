"""What a failed request means: send it again, ask for less at a time, or stop and say why.

The client library raises an `EEException` with nothing but a text; the HTTP error behind it, where there is
one, still knows the status.
"""

import re
from enum import Enum
from typing import Final

from googleapiclient.errors import HttpError

from geocomiss.errors import SourceError

Kind = Enum("Kind", ["AGAIN", "SPLIT", "STOP"])
"""Passing trouble, a request that asks too much at a time, or an error that stays."""

TOO_MUCH: Final = re.compile(
    r"memory limit|out of memory|computation timed out|total request size|must be less than or equal to"
    r"|pixel grid dimensions|too (large|many bands)|response size",
    re.I,
)
"""Texts of errors that a smaller tile does not have."""
PASSING: Final = re.compile(
    r"rate ?limit|too many (requests|concurrent)|quota exceeded for quota metric|try again|internal error",
    re.I,
)
"""Texts of errors that go by, whatever their status."""
SPENT: Final = re.compile(
    r"(?=.*(quota|limit))(?=.*(exceed|exhaust|used up|reached))"
    r"(?=.*(\bdaily|per ?day|-1d\b|\bmonthly|per ?month|\boverall))",
    re.I | re.S,
)
"""Texts of quotas that are not renewed within minutes: sent again, the request is refused again."""
QUOTAS: Final = "https://console.cloud.google.com/iam-admin/quotas"
UNREGISTERED: Final = re.compile(r"not (been )?(registered|signed up)|has not been used in project", re.I)
NO_RIGHT: Final = re.compile(r"permission|not authori[sz]ed|forbidden|disabled", re.I)
REGISTER: Final = "https://console.cloud.google.com/earth-engine"
LONGEST: Final = 240
"""Letters of Google's own words that are repeated."""


class TooMuch(Exception):
    """A request for less may succeed."""


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error of the client library, or None where no answer came."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, HttpError):
            return int(seen.resp.status)
        seen = seen.__cause__ or seen.__context__
    return None


def kind_of(status: int | None, text: str) -> Kind:
    """What to do about a failed request.

    Args:
        status: HTTP status; None where no whole answer came.
        text: Google's words.
    """
    if status in (403, 429) and SPENT.match(text):
        return Kind.STOP
    if status is None or status in (408, 429) or status >= 500:
        return Kind.AGAIN
    if status in (400, 413) and TOO_MUCH.search(text):
        return Kind.SPLIT
    return Kind.AGAIN if status == 403 and PASSING.search(text) else Kind.STOP


def explained(status: int | None, text: str, project: str) -> SourceError:
    """What a user is told of an error that stays."""
    words = " ".join(text.split())[:LONGEST]
    found = f"Earth Engine refuses a request ({status or 'no answer'}: {words})"
    if status in (403, 429) and SPENT.match(text):
        return SourceError(
            found,
            expected=f"quota that is left in the project {project!r}",
            todo="give the same command again when it is renewed (a daily one: at midnight Pacific time), "
            f"raise it at {QUOTAS}, or give another --ee-project",
        )
    if UNREGISTERED.search(text):
        return SourceError(
            found,
            expected=f"the project {project!r} registered for Earth Engine, with its API enabled",
            todo=f"register it at {REGISTER}, or give another --ee-project",
        )
    if status == 401 or "credential" in text.lower():
        return SourceError(
            found,
            expected="valid credentials",
            todo="log in with `earthengine authenticate`, or give --ee-credentials",
        )
    if status == 403 or NO_RIGHT.search(text):
        return SourceError(
            found,
            expected=f"the right to use Earth Engine in the project {project!r}",
            todo="ask its owner for the role Earth Engine Resource Viewer, or give another --ee-project",
        )
    if status == 404 or "not found" in text:
        return SourceError(found, expected="an asset or project that exists", todo="check --ee-project")
    return SourceError(
        found,
        expected="an answer",
        todo="try again later; where it stays so, report it with these words",
    )
