"""What `--help` says."""

import os
import subprocess
import sys
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


def test_what_was_started_by_run_says_run_in_its_hints() -> None:
    run = (Path(__file__).parents[3] / "run").read_text(encoding="utf-8")
    assert 'FEDREC_PROGRAM=./run exec "$VENV/bin/fedrec"' in run
    started = subprocess.run(
        [sys.executable, "-m", "fedrec", "model", "promotte"],
        env=os.environ | {"FEDREC_PROGRAM": "./run"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Try './run model --help' for help." in started.stderr
