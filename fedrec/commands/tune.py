"""`fedrec tune`: hyperparameters by validation."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedrec.commands.columns import reads_columns
from fedrec.commands.outputs import writable_file
from fedrec.commands.refusals import json_object, refusing_arguments
from fedrec.data.choice import FOUND, ColumnChoice

if TYPE_CHECKING:
    from simulation.tuning.search import Measured


@reads_columns
def tune(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A file of interactions, or a folder that holds one.")],
    recipe: Annotated[str, typer.Option(help="What to tune; see `fedrec simulate --help`.")],
    trials: Annotated[int, typer.Option(min=1, help="Tasks to simulate; the first has the defaults.")] = 30,
    config: Annotated[str, typer.Option(help="What is not searched of the recipe's configuration, as JSON.")] = "{}",
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Training rounds of a trial.", show_default="what suits the recipe")
    ] = None,
    participants: Annotated[int | None, typer.Option(min=1, help="People.", show_default="all")] = None,
    minimum_support: Annotated[int, typer.Option(min=1, help="Leave out items with fewer interactions.")] = 1,
    name: Annotated[str, typer.Option(help="Name of the task and of its model.")] = "recommender",
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything.")] = 0,
    out: Annotated[Path, typer.Option(help="Where to write the best task's manifest.", callback=writable_file)] = Path(
        "tuned-task.json"
    ),
    columns: ColumnChoice = FOUND,
) -> None:
    """Search a recipe's hyperparameters, by NDCG@10 on validation items; test items are not looked at."""
    from simulation.tuning.search import Search, run_search  # noqa: PLC0415 - --help need not load what computes

    fixed = json_object(config, "--config")
    search = Search(data, recipe, trials, fixed, rounds, participants, minimum_support, name, seed, columns)
    try:
        with refusing_arguments():
            found = run_search(search, _show)
            out.write_text(found.manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except ImportError as failure:
        typer.echo(f"fedrec: {failure}", err=True)
        raise typer.Exit(1) from failure
    typer.echo(
        f"best: trial {found.best.number}, ndcg@10 {found.best.ndcg:.4f} ({found.default:.4f} with the defaults)"
    )
    typer.echo(f"written to {out}")


def _show(trial: "Measured") -> None:
    values = "  ".join(f"{name} {value:.4g}" for name, value in trial.values.items())
    result = "given up" if trial.ndcg is None else f"ndcg@10 {trial.ndcg:.4f}"
    typer.echo(f"trial {trial.number:>3}  {result}  {values}")
