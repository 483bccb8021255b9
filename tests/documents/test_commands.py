"""No document names a command or an option that the command line does not have."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from geocomiss_cli.main import app

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = (
    ROOT / "README.md",
    *sorted(path for path in (ROOT / "examples").rglob("*") if path.suffix in {".md", ".sh", ".py"}),
    *sorted((ROOT / "notebooks").glob("*.ipynb")),
)
TEXTS = [path for path in DOCUMENTS if path.suffix == ".md"]
IN_TEXT = re.compile(r"`(geocomiss [^`]+)`")
IN_SHELL = re.compile(r"(?:^|[!(&|;])\s*(geocomiss [a-z-].*)")
FOREIGN = {"--dist", "--upgrade", "--no-deps", "--no-install-recommends", "--nthreads"}
"""Options of other programs that a document may name."""


def lines_of(path: Path) -> Iterator[str]:
    """Its logical lines; those of a notebook are those of its cells."""
    text = path.read_text()
    if path.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    yield from re.sub(r"\\\n\s*", " ", text).splitlines()


def commands_of(path: Path) -> Iterator[list[str]]:
    """The words after `geocomiss` of each command in a document, as a shell would split them."""
    text = path.suffix == ".md"
    fenced = False
    for line in lines_of(path):
        fenced ^= line.startswith("```")
        for found in IN_TEXT.findall(line) or (IN_SHELL.findall(line) if fenced or not text else ()):
            yield words_of(found)


def words_of(command: str) -> list[str]:
    text = re.split(r"\s#|\s\||&&|;|\)\s*(?:$|\.)", re.sub(r'"?\$(\{\w+\[@\]\}|@)"?', "", command))[0]
    lexer = shlex.shlex(text.rstrip(" .,:"), posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    return list(lexer)[1:]


def problem(words: list[str], command: Any, name: str = "geocomiss") -> str | None:
    """Why a command cannot be parsed: an unknown command or option, a missing value, a word too many.

    `command` is a click command; which click it is of is typer's own business.
    """
    context = command.context_class(command, info_name=name)
    try:
        _, rest, _ = command.make_parser(context).parse_args(list(words))
    except Exception as error:
        return f"{name}: {error}"
    if not hasattr(command, "commands"):
        return f"{name}: too many words, {rest}" if rest else None
    if not rest:
        return None
    chosen = command.commands.get(rest[0])
    return problem(rest[1:], chosen, f"{name} {rest[0]}") if chosen else f"{name} has no {rest[0]}"


ROOT_COMMAND = typer.main.get_command(app)
COMMANDS = [
    pytest.param(words, id=f"{path.name}: {' '.join(words)[:60]}")
    for path in DOCUMENTS
    for words in commands_of(path)
    if words and words[0] != "COMMAND"
]


def every_option(command: Any = ROOT_COMMAND) -> set[str]:
    names = {name for each in command.params for name in (*each.opts, *each.secondary_opts)}
    for each in getattr(command, "commands", {}).values():
        names |= every_option(each)
    return names | {"--help"}


def test_commands_are_found_in_the_documents() -> None:
    assert len(COMMANDS) > 40


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_of_a_document_can_be_parsed(words: list[str]) -> None:
    assert problem(words, ROOT_COMMAND) is None


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_an_option_in_a_text_exists(path: Path) -> None:
    named = set(re.findall(r"(?<![\w-])(--[a-z][a-z0-9-]+)", "\n".join(lines_of(path))))
    assert named - every_option() - FOREIGN == set()


@pytest.mark.parametrize(
    "words", [["maps"], ["map", "--no-such-option"], ["map", "--out"], ["map", "one", "two"], ["data", "x"]]
)
def test_a_wrong_command_is_noticed(words: list[str]) -> None:
    assert problem(words, ROOT_COMMAND)
