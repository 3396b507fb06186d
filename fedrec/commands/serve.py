"""`fedrec serve`: both services on this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from fedrec.local.operator_env import write_operator_env
from fedrec.local.ports import ANY
from fedrec.program import PROGRAM

if TYPE_CHECKING:
    from fedrec.local.stack import LocalStack
    from fedrec.local.supervisor import Part

SYSTEM_STATE = Path("/var/lib/fedrec")


def serve(
    state: Annotated[Path | None, typer.Option(help="Keeps data, secrets and logs.", show_default="./.fedrec")] = None,
    database_url: Annotated[
        str | None,
        typer.Option(envvar="FEDREC_DATABASE_URL", help="Use this Postgres instead of starting one."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The aggregator's port; 0 for any free one.")] = 8000,
    registry_port: Annotated[
        int, typer.Option(min=0, max=65535, help="The model registry's port; 0 for any free one.")
    ] = 8001,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
) -> None:
    """Run both services here, on loopback, until Ctrl-C; data stays for the next time.

    A process that ends by itself is started again, up to five times in ten minutes.
    """
    from fedrec.local.stack import local_stack  # noqa: PLC0415 - no other command need load Alembic
    from fedrec.local.supervisor import Supervisor  # noqa: PLC0415 - as above

    if port == registry_port != ANY:
        raise typer.BadParameter("both services cannot listen on one port", param_hint="--registry-port")
    console = Console()
    directory = (state or default_state(Path.cwd())).absolute()
    try:
        with local_stack(
            directory,
            database_url=database_url,
            ports=(port, registry_port),
            workers=workers,
            environment=settings_from(os.environ),
            progress=lambda step: console.print(f"[dim]{step} ...[/]"),
        ) as stack:
            _introduce(console, stack, directory)
            supervisor = Supervisor(_parts(stack), lambda words: console.print(f"[bold red]{escape(words)}[/]"))
            while True:
                supervisor.look()
                time.sleep(0.5)
    except KeyboardInterrupt:
        console.print("stopped")


def default_state(working_directory: Path) -> Path:
    """`./.fedrec`; under root, where Postgres runs as another user, only if that user can get there."""
    state = working_directory / ".fedrec"
    everybody_enters = all(parent.stat().st_mode & 0o001 for parent in state.parents)
    return state if os.geteuid() != 0 or everybody_enters else SYSTEM_STATE


def settings_from(environment: Mapping[str, str]) -> dict[str, str]:
    """Settings for the services that somebody made in the environment; the stack overrides what connects its parts."""
    return {name: value for name, value in environment.items() if name.startswith("FEDREC_")}


def _parts(stack: LocalStack) -> dict[str, Part]:
    """What is started again when it ends, Postgres first: the others need it."""
    postgres: dict[str, Part] = {} if stack.postgres is None else {stack.postgres.name: stack.postgres}
    return {**postgres, **stack.processes}


def _introduce(console: Console, stack: LocalStack, directory: Path) -> None:
    console.print(f"[bold]aggregator[/]      {stack.aggregator_url}/docs")
    console.print(f"[bold]model registry[/]  {stack.registry_url}/docs")
    console.print(f"[bold]dashboard[/]       {stack.aggregator_url}/dashboard")
    console.print(f"[bold]operator keys[/]   . {write_operator_env(stack, directory)}", soft_wrap=True)
    console.print(f"                and then, for example, [bold]{PROGRAM} task list[/]")
    console.print(f"[bold]logs[/]            {directory / 'logs'}", soft_wrap=True)
    if stack.postgres is not None:
        console.print(f"[bold]database[/]        {stack.postgres.url}", soft_wrap=True)
    console.print("Ctrl-C stops everything.")
