"""The command line: `fedrec COMMAND`."""

from __future__ import annotations

import sys

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

app = typer.Typer(
    name="fedrec",
    help="Federated recommenders: behaviour never leaves the person's device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(demo)
for command in (serve, migrate, simulate, recommend_config, tune, train, audit, catalogue):
    app.command()(command)
for name, group in {
    "task": task,
    "model": model,
    "client": client,
    "enrolment-key": enrolment_key,
    "operator-key": operator_key,
    "privacy": privacy,
    "data": data,
}.items():
    app.add_typer(group, name=name)


def main() -> None:
    """Run a command; a failure that has an explanation ends with that instead of a traceback."""
    try:
        app()
    except LocalFailure as failure:
        sys.exit(f"fedrec: {failure}")
    except OSError as failure:  # a disk that is full, a folder that is somebody else's
        sys.exit(f"fedrec: {failure.filename or 'the system'}: {failure.strerror or failure}")
