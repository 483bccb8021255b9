"""The page of what large areas take is what its script makes."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_the_page_is_what_its_script_makes() -> None:
    made = subprocess.run(
        [sys.executable, EXAMPLES / "scaling.py"], capture_output=True, text=True, check=True
    )
    assert made.stdout == (EXAMPLES / "scaling.md").read_text(), "run the command that the page names"
