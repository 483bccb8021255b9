"""Fetch a stack: what `geocomiss map` would read, kept on disk for many maps or as images to look at."""

from geocomiss.fetching.workflow import FetchReport, FetchRequest, fetch_stack

__all__ = ["FetchReport", "FetchRequest", "fetch_stack"]
