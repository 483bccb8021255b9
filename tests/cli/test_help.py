"""Every command's help is whole: each option said and grouped, an example at the end that parses."""

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from geocomiss_cli.examples import EXAMPLES
from geocomiss_cli.main import app

ROOT = typer.main.get_command(app)


def commands(command: Any, *words: str) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its words; groups are walked through."""
    inside = getattr(command, "commands", None)
    if inside is None:
        yield " ".join(words), command
    for name, each in (inside or {}).items():
        yield from commands(each, *words, name)


COMMANDS = dict(commands(ROOT))
UNIT = re.compile(
    r"metre|hectare|pixel|seconds|per cent|hour|processes|epochs|passes|points|samples|requests|tasks|images"
    r"|steps|labels|seed|learning rate|confidence|standard error|port|number of|price|how often"
    r"|between 0 and 1|units of the crs|0 to 1",
    re.IGNORECASE,
)
"""What a number is of; a metavar other than its type says it, too."""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help_and_a_panel(name: str) -> None:
    for each in COMMANDS[name].params:
        assert len(each.help or "") > 8, each.name
        assert each.rich_help_panel, each.name


def test_the_options_of_the_whole_program_too() -> None:
    for each in ROOT.params:
        assert each.help
        if each.name in ("version", "debug"):
            assert each.rich_help_panel


@pytest.mark.parametrize("name", COMMANDS)
def test_a_number_says_its_unit(name: str) -> None:
    for each in COMMANDS[name].params:
        if isinstance(each.default, int | float) and not isinstance(each.default, bool):
            assert each.metavar or UNIT.search(each.help), each.name


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_that_may_be_left_out_says_what_happens_then(name: str) -> None:
    for each in COMMANDS[name].params:
        if each.param_type_name == "option" and not each.required and not each.is_flag:
            assert each.default not in (None, []) or each.show_default, each.name


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_ends_with_an_example_of_itself_that_parses(name: str) -> None:
    program, *words = shlex.split(EXAMPLES[name])
    assert program == "geocomiss"
    assert words[: len(name.split())] == name.split()
    command = COMMANDS[name]
    context = command.context_class(command, info_name=name)
    rest = words[len(name.split()) :]
    _, left, given = command.make_parser(context).parse_args(rest)
    assert left == []
    required = {each.name for each in command.params if each.required}
    assert required <= {each.name for each in given}
    shown = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "400"}).stdout
    assert EXAMPLES[name] in " ".join(shown.split())


def test_no_example_is_of_a_command_that_is_gone() -> None:
    assert EXAMPLES.keys() == COMMANDS.keys()


def test_commands_are_grouped() -> None:
    assert {each.rich_help_panel for each in ROOT.commands.values()} == {
        "Maps", "Satellite data", "Samples and models", "How good a map is", "Help",
    }  # fmt: skip
