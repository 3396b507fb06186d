"""`fedrec demo`: the main job, on real people's ratings."""

from typing import Annotated, Literal

import typer
from rich.console import Console

Recipe = Literal["mf", "autoencoder", "sasrec", "ease", "popularity"]
SMALLEST_COHORT = 5


def demo(
    recipe: Annotated[Recipe, typer.Option(help="What to train.")] = "mf",
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Training rounds.", show_default="what suits the recipe")
    ] = None,
    participants: Annotated[
        int | None, typer.Option(min=2, help="People who take part.", show_default="all 610; 60 with masks")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the initial model.")] = 0,
    privacy: Annotated[
        Literal["plain", "secagg"], typer.Option(help="With secagg the aggregator sees sums only.")
    ] = "plain",
    wait: Annotated[bool, typer.Option(help="Keep the services running at the end, until Enter.")] = False,
) -> None:
    """Train a recommender on MovieLens over real HTTP: Postgres, registry, aggregator and 610 devices."""
    from fedrec.demo.main import Options, run_demo  # noqa: PLC0415 - --help need not load what computes
    from fedrec.demo.privacy import Privacy  # noqa: PLC0415 - the same

    if privacy == "secagg" and participants is not None and participants < SMALLEST_COHORT:
        raise typer.BadParameter(f"at least {SMALLEST_COHORT} hide each other", param_hint="--participants")
    run_demo(Options(recipe, rounds, participants, seed, wait, Privacy(privacy)), Console())
