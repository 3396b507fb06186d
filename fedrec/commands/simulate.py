"""`fedrec simulate`: a whole federated task in one process."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from fedrec.commands.columns import reads_columns
from fedrec.commands.outputs import writable_folder
from fedrec.commands.refusals import json_object, refusing_arguments
from fedrec.data.choice import FOUND, ColumnChoice
from fedrec_recipes.catalogue import recipe_names


class Engine(StrEnum):
    """Where participants are computed."""

    LOCAL = "local"
    RAY = "ray"


@reads_columns
def simulate(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A file of interactions, or a folder that holds one.")],
    manifest: Annotated[
        list[Path] | None,
        typer.Option(
            help="A task manifest, e.g. of `recommend-config`; the options that it answers are not used. Several are "
            "those of models that are then combined."
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="What to train; one of " + ", ".join(recipe_names()) + ".",
            show_default="what suits the data; blend on most",
        ),
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Training rounds at most.", show_default="what suits the recipe")
    ] = None,
    participants: Annotated[int | None, typer.Option(min=1, help="People.", show_default="all")] = None,
    cohort: Annotated[
        int | None, typer.Option(min=1, help="Reports that close a round.", show_default="everybody")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything.")] = 0,
    engine: Annotated[Engine, typer.Option(help="In this process, or on Ray.")] = Engine.LOCAL,
    config: Annotated[str, typer.Option(help="The recipe's configuration, as JSON.")] = "{}",
    training: Annotated[str, typer.Option(help='Changes to the training plan, e.g. {"learning_rate": 0.2}.')] = "{}",
    minimum_support: Annotated[int, typer.Option(min=1, help="Leave out items with fewer interactions.")] = 1,
    over_selection: Annotated[float, typer.Option(min=1, max=4, help="People asked for each report needed.")] = 1.0,
    minimum_reports: Annotated[int, typer.Option(min=1, help="Reports needed at the deadline.")] = 1,
    deadline: Annotated[float, typer.Option(min=1, help="Seconds from opening a round to closing it.")] = 600.0,
    dropout: Annotated[float, typer.Option(min=0, max=1, help="Share of those asked who fall silent.")] = 0.0,
    stragglers: Annotated[
        float | None,
        typer.Option(min=0, help="Spread of device speeds (log-normal), e.g. 0.8.", show_default="no delays"),
    ] = None,
    availability: Annotated[
        str | None, typer.Option(help="`daily`, or a trace: CSV of person,start,end.", show_default="always")
    ] = None,
    attack: Annotated[str | None, typer.Option(help="sign-flip, scaling, noise or label-shuffling.")] = None,
    attackers: Annotated[float, typer.Option(min=0, max=1, help="Share of attackers.")] = 0.1,
    clipping_norm: Annotated[
        float | None, typer.Option(min=0, help="L2 bound on one report.", show_default="the recipe's")
    ] = None,
    privacy: Annotated[
        str | None,
        typer.Option(help='Noise, as JSON: {"noise_multiplier": 1, "budget_epsilon": 8, "target_delta": 1e-5}.'),
    ] = None,
    patience: Annotated[int | None, typer.Option(min=1, help="Stop after so many rounds without improvement.")] = None,
    baselines: Annotated[bool, typer.Option(help="Also test popularity, EASE and central training.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for tables, model and plots.", callback=writable_folder)] = Path(
        "simulation-results"
    ),
    columns: ColumnChoice = FOUND,
) -> None:
    """Train a recommender on simulated participants: the services' own code, without HTTP or a database."""
    from fedrec_sdk.errors import FedrecError  # noqa: PLC0415 - --help need not load what follows
    from simulation.experiment import run_experiment  # noqa: PLC0415 - as above
    from simulation.options import Options  # noqa: PLC0415 - as above
    from simulation.simulation import NobodyReports  # noqa: PLC0415 - as above

    policy: dict[str, Any] = {
        "over_selection_factor": over_selection,
        "minimum_reports": minimum_reports,
        "deadline_seconds": deadline,
    }
    options = Options(
        data=data,
        columns=columns,
        manifests=tuple(manifest or ()),
        recipe=recipe,
        config=json_object(config, "--config"),
        training=json_object(training, "--training"),
        rounds=rounds,
        participants=participants,
        minimum_support=minimum_support,
        policy=policy if cohort is None else {**policy, "aggregation_goal": cohort},
        clipping_norm=clipping_norm,
        privacy=None if privacy is None else json_object(privacy, "--privacy"),
        patience=patience,
        seed=seed,
        engine=engine,
        dropout=dropout,
        stragglers=stragglers,
        availability=availability,
        attack=attack,
        attackers=attackers,
        baselines=baselines,
        out=out,
    )
    try:
        with refusing_arguments():
            run_experiment(options, Console())
    except (FedrecError, ImportError, NobodyReports) as failure:
        typer.echo(f"fedrec: {failure}", err=True)
        raise typer.Exit(1) from failure
