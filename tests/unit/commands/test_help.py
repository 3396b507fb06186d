"""What `--help` says."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import typer
from typer.core import TyperCommand, TyperGroup
from typer.testing import CliRunner

from fedrec.cli import app


def commands(command: object, name: str) -> Iterator[tuple[str, TyperCommand]]:
    if isinstance(command, TyperGroup):
        for word, each in command.commands.items():
            yield from commands(each, f"{name} {word}")
    if isinstance(command, TyperCommand):
        yield name, command


def test_the_program_says_its_version() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert CliRunner().invoke(app, ["--version"]).output == f"fedrec {project['version']}\n"


def test_no_help_text_has_brackets_which_a_terminal_would_not_show() -> None:
    texts = {
        (name, option.name): getattr(option, "help", None) or ""
        for name, command in commands(typer.main.get_command(app), "fedrec")
        for option in command.params
    }
    assert len(texts) > 100
    assert [place for place, text in texts.items() if "[" in text] == []
