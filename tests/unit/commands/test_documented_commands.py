"""Every command that a page shows is one that the program takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.core import TyperCommand, TyperGroup

from fedrec.cli import app

ROOT = Path(__file__).parents[3]
PAGES = [page.read_text(encoding="utf-8") for page in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])]
BLOCK = re.compile(r"^```(?:sh)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`((?:fedrec|\./run) [^`]+)`")
COMMAND = re.compile(r"\s*(?:[A-Z_]+=\S+ )*(?:fedrec|\./run) (?P<words>[^|>]*)")
OTHERS = {"test", "soak", "check", "bench", "results", "setup", "freeze", "--help"}  # of the script `run`
OTHERS |= {"device"}  # `fedrec device key` is the audience of a token


def commands(lines: list[str]) -> list[list[str]]:
    found = [shlex.split(match["words"], comments=True) for match in map(COMMAND.match, lines) if match]
    return [words for words in found if words and words[0] not in OTHERS]


WHOLE = [line for page in PAGES for block in BLOCK.findall(page) for line in block.replace("\\\n", " ").splitlines()]
MENTIONED = [text for page in PAGES for text in INLINE.findall(page.replace("\n", " "))]


def resolved(words: list[str]) -> tuple[TyperGroup | TyperCommand, list[str]]:
    """The command that these words name, and the rest of them."""
    command = typer.main.get_command(app)
    while isinstance(command, TyperGroup) and words:
        name, *words = words
        assert name in command.commands
        command = command.commands[name]
    assert isinstance(command, TyperGroup | TyperCommand)
    return command, words


@pytest.mark.parametrize("words", commands(WHOLE), ids=" ".join)
def test_a_command_in_a_block_can_be_typed_as_it_stands(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FEDREC_OPERATOR_KEY", "FEDREC_REGISTRY_KEY"):
        monkeypatch.setenv(name, "fo_x")
    command, rest = resolved(words)
    command.make_context("fedrec", rest)


@pytest.mark.parametrize("words", commands(MENTIONED), ids=" ".join)
def test_a_command_in_a_sentence_is_known_with_its_options(words: list[str]) -> None:
    command, rest = resolved(words)
    known = {name for option in command.params for name in option.opts + option.secondary_opts}
    assert {word.partition("=")[0] for word in rest if word.startswith("--")} <= known
