"""`fedrec simulate`: a whole federated task in one process."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fedrec.commands.columns import reads_columns
from fedrec.commands.grouped import grouped
from fedrec.commands.outputs import writable_folder
from fedrec.commands.refusals import refusing_arguments
from fedrec.commands.simulate_options import DeviceChoice, RoundChoice, TaskChoice
from fedrec.data.choice import FOUND, ColumnChoice


class Engine(StrEnum):
    """Where participants are computed."""

    LOCAL = "local"
    RAY = "ray"


@grouped("task", TaskChoice)
@grouped("policy", RoundChoice)
@grouped("devices", DeviceChoice)
@reads_columns
def simulate(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A file of interactions, or a folder that holds one.")],
    task: TaskChoice,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything.")] = 0,
    engine: Annotated[Engine, typer.Option(help="In this process, or on Ray.")] = Engine.LOCAL,
    baselines: Annotated[bool, typer.Option(help="Also test popularity, EASE and central training.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for tables, model and plots.", callback=writable_folder)] = Path(
        "simulation-results"
    ),
    *,
    policy: RoundChoice,
    devices: DeviceChoice,
    columns: ColumnChoice = FOUND,
) -> None:
    """Train a recommender on simulated participants: the services' own code, without HTTP or a database."""
    from fedrec_sdk.errors import FedrecError  # noqa: PLC0415 - --help need not load what follows
    from simulation.experiment import run_experiment  # noqa: PLC0415 - as above
    from simulation.options import Options  # noqa: PLC0415 - as above
    from simulation.simulation import NobodyReports  # noqa: PLC0415 - as above

    chosen = task.chosen() | policy.chosen() | devices.chosen()
    options = Options(data=data, columns=columns, seed=seed, engine=engine, baselines=baselines, out=out, **chosen)
    try:
        with refusing_arguments():
            run_experiment(options, Console())
    except (FedrecError, ImportError, NobodyReports) as failure:
        typer.echo(f"fedrec: {failure}", err=True)
        raise typer.Exit(1) from failure
