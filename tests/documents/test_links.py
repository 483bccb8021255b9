"""Links between the documents lead somewhere, headings included, and the README stays short."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "examples").rglob("*.md")))
LINK = re.compile(r"\]\(([^)\s]+)\)")
LONGEST = 260
"""Lines of the README: what a newcomer does not need belongs in the guide."""


def anchors(page: Path) -> set[str]:
    """The names that headings of a page are given: small letters, blanks as hyphens, nothing else kept."""
    headings = re.findall(r"^#+ (.*)", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links() -> Iterator[tuple[Path, str]]:
    for page in PAGES:
        yield from ((page, link) for link in LINK.findall(page.read_text()) if "://" not in link)


def problem(page: Path, link: str) -> str | None:
    path, _, anchor = link.partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.exists():
        return f"{link}: no such file"
    return f"{link}: no such heading" if anchor and anchor not in anchors(target) else None


@pytest.mark.parametrize(("page", "link"), list(links()), ids=lambda each: str(each).removeprefix(f"{ROOT}/"))
def test_a_link_leads_somewhere(page: Path, link: str) -> None:
    assert problem(page, link) is None


def test_a_broken_link_is_noticed() -> None:
    assert problem(ROOT / "README.md", "examples/none.md") and problem(ROOT / "README.md", "#none")


def test_every_page_of_the_guide_is_linked_from_the_readme() -> None:
    named = set(LINK.findall((ROOT / "README.md").read_text()))
    pages = {str(path.relative_to(ROOT)) for path in (ROOT / "examples" / "guide").glob("*.md")}
    assert len(pages) > 5 and pages <= named
    assert len((ROOT / "README.md").read_text().splitlines()) <= LONGEST
