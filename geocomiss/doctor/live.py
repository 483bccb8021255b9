"""Whether Earth Engine answers."""

import time

from geocomiss.doctor.finding import Finding
from geocomiss.errors import SourceError
from geocomiss.sources.base import EarthEngine


def check_earth_engine(options: EarthEngine) -> Finding:
    """Ask Earth Engine for a number.

    Args:
        options: How it is reached.
    """
    from geocomiss.sources.ee.client import Client, answers  # only here is Google's client needed

    begun = time.monotonic()
    try:
        client = Client(options)
        right = answers(client)
    except SourceError as error:
        return Finding("Earth Engine, live", error.found, "wrong", error.todo)
    if not right:
        todo = "check --ee-url: what answers there is no Earth Engine"
        return Finding("Earth Engine, live", "an answer that is none", "wrong", todo)
    if client.transport.restricted:
        todo = "wait for the next month, or move the project to a higher tier"
        return Finding("Earth Engine, live", "answers in restricted mode: slowly", "note", todo)
    took = time.monotonic() - begun
    return Finding("Earth Engine, live", f"project {client.identity.project} answers in {took:.1f} s")
