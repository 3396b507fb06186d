"""The command line: `fedrec COMMAND`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated

import typer

from fedrec.commands.audit import audit
from fedrec.commands.catalogue import catalogue
from fedrec.commands.client import client
from fedrec.commands.data import data
from fedrec.commands.demo import demo
from fedrec.commands.keys import enrolment_key, operator_key
from fedrec.commands.migrate import migrate
from fedrec.commands.model import model
from fedrec.commands.privacy import privacy
from fedrec.commands.recommend_config import recommend_config
from fedrec.commands.serve import serve
from fedrec.commands.simulate import simulate
from fedrec.commands.task import task
from fedrec.commands.train import train
from fedrec.commands.tune import tune
from fedrec.local.errors import LocalFailure
from fedrec.program import PROGRAM

app = typer.Typer(
    name="fedrec",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
PANELS: dict[str, dict[str, Callable[..., None] | typer.Typer]] = {
    "On this machine": {"demo": demo, "serve": serve},
    "Find out what suits your data": {
        "recommend-config": recommend_config,
        "simulate": simulate,
        "tune": tune,
        "privacy": privacy,
        "data": data,
    },
    "Run a deployment": {
        "train": train,
        "task": task,
        "model": model,
        "catalogue": catalogue,
        "client": client,
        "enrolment-key": enrolment_key,
        "operator-key": operator_key,
        "audit": audit,
        "migrate": migrate,
    },
}
for panel, commands in PANELS.items():
    for name, command in commands.items():
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, rich_help_panel=panel)
        else:
            app.command(name, rich_help_panel=panel)(command)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"fedrec {version('fedrec')}")
        raise typer.Exit


@app.callback()
def _program(
    is_asked: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Federated recommenders: behaviour never leaves the person's device."""


def main() -> None:
    """Run a command; a failure that has an explanation ends with that instead of a traceback."""
    try:
        app(prog_name=PROGRAM)
    except LocalFailure as failure:
        sys.exit(f"fedrec: {failure}")
    except OSError as failure:  # a disk that is full, a folder that is somebody else's
        sys.exit(f"fedrec: {failure.filename or 'the system'}: {failure.strerror or failure}")
