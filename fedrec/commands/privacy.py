"""`fedrec privacy`: what a promise costs, before training starts."""

from typing import Annotated

import typer

from services.aggregator.domain.privacy.accountant import UnsupportedRelease
from services.aggregator.domain.privacy.participation import ParticipationLimit
from services.aggregator.domain.privacy.plan import Mechanism, Scenario, plan

privacy = typer.Typer(help="Differential privacy: plan it before training.", no_args_is_help=True)


@privacy.callback()
def _root() -> None:
    """Keeps `plan` a sub-command while it is the only one."""


@privacy.command("plan")
def plan_command(
    users: Annotated[int, typer.Option(min=1, help="Enrolled users.")],
    cohort: Annotated[int, typer.Option(min=1, help="Reports in a round: the aggregation goal.")],
    rounds: Annotated[int, typer.Option(min=1, help="Training rounds.")],
    epsilon: Annotated[float, typer.Option(min=0.001, help="What the whole training may spend on one user.")],
    delta: Annotated[float | None, typer.Option(help="[default: one tenth of 1 / users]")] = None,
    participations: Annotated[int | None, typer.Option(min=1, help="Rounds of one user at most.")] = None,
    separation: Annotated[int, typer.Option(min=1, help="Rounds between two of one user.")] = 1,
    mechanism: Annotated[Mechanism, typer.Option(help="How noise is drawn.")] = Mechanism.PARTICIPATIONS,
    bands: Annotated[int, typer.Option(min=1, help="Bands of correlated noise.")] = 1,
    coordinates: Annotated[int, typer.Option(min=1, help="Parameters of the model.")] = 100_000,
) -> None:
    """The least noise that keeps the whole training within epsilon, and what it does to the mean update."""
    scenario = Scenario(
        users=users,
        cohort=cohort,
        rounds=rounds,
        target_delta=0.1 / users if delta is None else delta,
        limit=ParticipationLimit(maximum_participations=participations, minimum_separation=separation),
        bands=bands,
    )
    try:
        found = plan(mechanism, scenario, epsilon)
    except UnsupportedRelease as error:
        raise typer.BadParameter(str(error)) from error
    for sentence in found.sentences(coordinates):
        typer.echo(sentence)
