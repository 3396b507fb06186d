"""`fedrec privacy`: what a promise costs before training starts, and what attacks find of it."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from fedrec.commands.columns import reads_columns
from fedrec.commands.outputs import writable_folder
from fedrec.commands.refusals import json_object, refusing_arguments
from fedrec.data.choice import FOUND, ColumnChoice
from fedrec.private_recommender import private_recommender
from fedrec_protocol.encrypted.parameters import Scheme
from fedrec_protocol.homomorphic_encryption import HomomorphicEncryption
from services.aggregator.domain.privacy.adaptive_clipping import CountNoiseTooSmall, model_multiplier
from services.aggregator.domain.privacy.participation import ParticipationLimit
from services.aggregator.domain.privacy.plan import Mechanism, Scenario, plan

MOST_ROUNDS = 1_000_000
MOST_EPSILON = 1000.0
"""Nobody is protected by so much; finding the noise for more takes minutes."""

privacy = typer.Typer(help="Privacy: plan it before training, and measure what attacks find.", no_args_is_help=True)


@privacy.command("plan")
def plan_command(
    users: Annotated[int, typer.Option(min=1, help="Enrolled users.")],
    cohort: Annotated[int, typer.Option(min=1, help="Reports in a round: the aggregation goal.")],
    rounds: Annotated[int, typer.Option(min=1, max=MOST_ROUNDS, help="Training rounds.")],
    epsilon: Annotated[
        float, typer.Option(min=0.001, max=MOST_EPSILON, help="What the whole training may spend on one user.")
    ],
    delta: Annotated[
        float | None, typer.Option(help="At which epsilon is stated.", show_default="one tenth of 1 / users")
    ] = None,
    participations: Annotated[int | None, typer.Option(min=1, help="Rounds of one user at most.")] = None,
    separation: Annotated[int, typer.Option(min=1, help="Rounds between two of one user.")] = 1,
    mechanism: Annotated[Mechanism, typer.Option(help="How noise is drawn.")] = Mechanism.PARTICIPATIONS,
    bands: Annotated[int, typer.Option(min=1, help="Bands of correlated noise.")] = 1,
    count_noise: Annotated[
        float | None, typer.Option(min=0.01, help="With adaptive clipping: noise on the count of clipped reports.")
    ] = None,
    coordinates: Annotated[int, typer.Option(min=1, help="Parameters of the model.")] = 100_000,
) -> None:
    """The least noise that keeps the whole training within epsilon, and what it does to the mean update."""
    with refusing_arguments():
        scenario = Scenario(
            users=users,
            cohort=cohort,
            rounds=rounds,
            target_delta=0.1 / users if delta is None else delta,
            limit=ParticipationLimit(maximum_participations=participations, minimum_separation=separation),
            bands=bands,
            coordinates=coordinates,
        )
        found = plan(mechanism, scenario, epsilon)
    for sentence in found.sentences(coordinates):
        typer.echo(sentence)
    if count_noise is not None:
        typer.echo(_beside_clip_count(mechanism, found.noise_multiplier, count_noise))


def _beside_clip_count(mechanism: Mechanism, combined: float, count_noise: float) -> str:
    if mechanism is not Mechanism.PARTICIPATIONS and mechanism is not Mechanism.POISSON:
        raise typer.BadParameter(f"clipping is not adaptive with {mechanism} noise", param_hint="--count-noise")
    try:
        multiplier = model_multiplier(combined, count_noise)
    except CountNoiseTooSmall as error:
        raise typer.BadParameter(str(error), param_hint="--count-noise") from error
    return f"With adaptive clipping and count noise {count_noise:g}, noise multiplier {multiplier:.3f} costs the same."


@privacy.command("audit")
@reads_columns
def audit_command(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A file of interactions, or a folder that holds one.")],
    recipe: Annotated[str, typer.Option(help="What is trained; its reports must be deltas, averaged.")] = "mf",
    config: Annotated[str, typer.Option(help="The recipe's configuration, as JSON.")] = "{}",
    rounds: Annotated[int, typer.Option(min=1, help="Rounds; everybody reports in each.")] = 5,
    participants: Annotated[int | None, typer.Option(min=20, help="People.", show_default="all")] = None,
    minimum_support: Annotated[int, typer.Option(min=1, help="Leave out items with fewer interactions.")] = 5,
    clipping_norm: Annotated[float, typer.Option(min=1e-6, help="L2 bound on one report.")] = 5.0,
    noise: Annotated[
        list[float] | None, typer.Option(help="A multiplier of the server's noise; repeat.", show_default="0.5 1 2 4 8")
    ] = None,
    mode_noise: Annotated[
        list[float] | None, typer.Option(help="The same for all other ways to add noise.", show_default="1 4")
    ] = None,
    canaries: Annotated[int, typer.Option(min=10, help="Canaries; half of them take part.")] = 2200,
    delta: Annotated[float, typer.Option(min=1e-12, max=0.1, help="At which epsilon is stated.")] = 1e-5,
    confidence: Annotated[float, typer.Option(min=0.5, max=0.9999, help="Of each lower bound.")] = 0.95,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the figures and the plot.", callback=writable_folder)] = Path(
        "privacy-audit"
    ),
    columns: ColumnChoice = FOUND,
) -> None:
    """Attack published models and received reports, and bound epsilon from below; exit 1 where a promise fails."""
    from simulation.audit.audit import AuditOptions, run_audit  # noqa: PLC0415 - --help need not load what computes

    levels = {"noise_multipliers": noise, "mode_multipliers": mode_noise}
    chosen: dict[str, Any] = {name: tuple(level) for name, level in levels.items() if level}
    fixed = json_object(config, "--config")
    options = AuditOptions(
        data=data,
        columns=columns,
        recipe=recipe,
        config=fixed,
        rounds=rounds,
        participants=participants,
        minimum_support=minimum_support,
        clipping_norm=clipping_norm,
        canaries=canaries,
        target_delta=delta,
        confidence=confidence,
        seed=seed,
        out=out,
        **chosen,
    )
    try:
        with refusing_arguments():
            leaks = list(run_audit(options, Console()).leaks())
    except ImportError as failure:
        typer.echo(f"fedrec: {failure}", err=True)
        raise typer.Exit(1) from failure
    for leak in leaks:
        typer.echo(f"LEAK: {leak}", err=True)
    if leaks:
        raise typer.Exit(1)


@privacy.command("silo-key")
def silo_key_command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The new key's file; every silo gets a copy, the operator never.")
    ],
    scheme: Annotated[Scheme, typer.Option(help="How reports are encrypted; bfv takes half the bytes.")] = Scheme.CKKS,
) -> None:
    """Make the secret key of a task's silos, and print what its manifest says of it.

    Run it at a silo. Whoever has the file can read every report of every silo.
    """
    from fedrec_sdk.silo.key import make_silo_key  # noqa: PLC0415 - --help need not load it
    from fedrec_sdk.silo.library import EncryptionUnavailable  # noqa: PLC0415 - as above

    try:
        key = make_silo_key(file, scheme)
    except OSError as problem:
        raise typer.BadParameter(f"{file}: {problem.strerror}") from problem
    except EncryptionUnavailable as missing:
        typer.echo(f"fedrec: {missing}", err=True)
        raise typer.Exit(1) from missing
    terms = HomomorphicEncryption(scheme=scheme, key_fingerprint=key.fingerprint)
    typer.echo(json.dumps({"homomorphic_encryption": terms.model_dump(mode="json")}, indent=2))


@privacy.command("recommender")
def recommender_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the task and of its model.")],
    items: Annotated[int, typer.Option(min=2, help="Items of the catalogue.")],
    people: Annotated[int, typer.Option(min=2, help="Reports that close a round.")],
    epsilon: Annotated[float, typer.Option(min=0.001, max=MOST_EPSILON, help="What the task may spend on one user.")],
    delta: Annotated[
        float | None, typer.Option(help="At which epsilon is stated.", show_default="one tenth of 1 / people")
    ] = None,
) -> None:
    """The manifest of a recommender with user-level privacy, as JSON: two rounds of the recipe `neighbours`."""
    with refusing_arguments():
        manifest = private_recommender(
            name=name,
            number_of_items=items,
            people=people,
            epsilon=epsilon,
            target_delta=0.1 / people if delta is None else delta,
        )
    typer.echo(manifest.model_dump_json(indent=2))
