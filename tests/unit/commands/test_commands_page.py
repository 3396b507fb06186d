"""docs/commands.md lists the program's commands, in its own words."""

from collections.abc import Iterator
from pathlib import Path

import typer
from typer.core import TyperCommand, TyperGroup

from fedrec.cli import app

PAGE = (Path(__file__).parents[3] / "docs" / "commands.md").read_text(encoding="utf-8")
FROM_THE_ENVIRONMENT = {"key", "database_url"}


def rows(command: object, name: str) -> Iterator[str]:
    """A row for each command: what has to be typed, and the first paragraph of its help."""
    if isinstance(command, TyperGroup):
        for word, each in command.commands.items():
            yield from rows(each, f"{name} {word}")
    elif isinstance(command, TyperCommand):
        needed = [option for option in command.params if option.required and option.name not in FROM_THE_ENVIRONMENT]
        typed = [option.metavar if option.param_type_name == "argument" else option.opts[0] for option in needed]
        words = " ".join((command.help or "").partition("\n\n")[0].split())
        yield f"| `{' '.join([name, *map(str, typed)])}` | {words} |"


def test_the_page_has_every_command_and_no_other() -> None:
    listed = [line for line in PAGE.splitlines() if line.startswith("| `fedrec ")]
    assert sorted(listed) == sorted(rows(typer.main.get_command(app), "fedrec"))
