"""What `--help` says."""

from collections.abc import Iterator

import typer
from typer.core import TyperCommand, TyperGroup

from fedrec.cli import app


def commands(command: object, name: str) -> Iterator[tuple[str, TyperCommand]]:
    if isinstance(command, TyperGroup):
        for word, each in command.commands.items():
            yield from commands(each, f"{name} {word}")
    if isinstance(command, TyperCommand):
        yield name, command


def test_no_help_text_has_brackets_which_a_terminal_would_not_show() -> None:
    texts = {
        (name, option.name): getattr(option, "help", None) or ""
        for name, command in commands(typer.main.get_command(app), "fedrec")
        for option in command.params
    }
    assert len(texts) > 100
    assert [place for place, text in texts.items() if "[" in text] == []
