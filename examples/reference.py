"""Write the API reference, HTML made from docstrings by pdoc: python examples/reference.py FOLDER."""

import sys
from pathlib import Path

import pdoc
import pdoc.render

import geocomiss


def main() -> None:
    """Resolve the names that the package imports on demand, so that pdoc sees them, and render them."""
    for name in geocomiss.__all__:
        setattr(geocomiss, name, getattr(geocomiss, name))
    pdoc.render.configure(docformat="google", show_source=False)
    pdoc.pdoc("geocomiss", "geocomiss.errors", output_directory=Path(sys.argv[1]))


if __name__ == "__main__":
    main()
