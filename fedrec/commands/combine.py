"""`fedrec model combine`: one model of several, and the task in which devices choose its weights."""

from pathlib import Path
from typing import Annotated

import typer

from fedrec.commands.listing import size
from fedrec.commands.outputs import writable_file
from fedrec.commands.refusals import json_object, refusing_arguments
from fedrec.commands.services import REGISTRY_URL, RegistryKey, RegistryUrl, registry
from fedrec.program import PROGRAM


def combine(
    name: Annotated[
        str,
        typer.Argument(metavar="NEW", help="Name of the combined model; a member's own, for apps to stay as they are."),
    ],
    member: Annotated[
        list[str],
        typer.Option(
            help="MODEL@ALIAS, MODEL@NUMBER, MODEL@ID, or MODEL for what is in production; two to four times."
        ),
    ],
    key: RegistryKey,
    url: RegistryUrl = REGISTRY_URL,
    weights: Annotated[
        str | None,
        typer.Option(
            help="Weights as given, e.g. 1,4, or those of a combined version, e.g. both@production: then there is no "
            "task.",
            show_default="devices choose",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where to write the manifest of the task.", callback=writable_file)] = Path(
        "combined-task.json"
    ),
    goal: Annotated[int, typer.Option(min=1, help="Reports that close its round.")] = 1000,
    minimum_reports: Annotated[int, typer.Option(min=1, help="Reports needed at its deadline.")] = 100,
    privacy: Annotated[
        str | None,
        typer.Option(help='Noise of that round: {"noise_multiplier": 1, "budget_epsilon": 2, "target_delta": 1e-6}.'),
    ] = None,
) -> None:
    """Add up trained models: publish their versions as one, and write the task in which devices choose the weights."""
    from fedrec.combination import combination_of, publish  # noqa: PLC0415 - --help need not load what computes
    from fedrec.manifests import choice_of_weights  # noqa: PLC0415 - as above
    from fedrec.refused import Refused  # noqa: PLC0415 - as above
    from fedrec_protocol.manifest import RoundPolicy  # noqa: PLC0415 - as above
    from fedrec_protocol.privacy import CentralPrivacy  # noqa: PLC0415 - as above

    with refusing_arguments(), registry(url, key) as operator:
        noise = None if privacy is None else CentralPrivacy.model_validate(json_object(privacy, "--privacy"))
        policy = RoundPolicy(aggregation_goal=goal, minimum_reports=min(minimum_reports, goal))
        parts = combination_of(operator, member, weights)
        if parts.privacy is not None and noise is None and parts.weights is None:
            raise Refused("the members are private: say what the choice may spend (--privacy), or give --weights")
        version = publish(operator, name, parts)
        typer.echo(f"version {version.number} of {name}: {version.version_id}, {size(version.size_bytes)}")
        if parts.weights is not None:
            typer.echo(f"serve it: {PROGRAM} model promote {name} {version.number}")
            return
        manifest = choice_of_weights(
            parts.recipe,
            name=f"{name}-{version.number}",
            model=name,
            base_version=version.version_id,
            rounds=policy,
            privacy=noise,
        )
        out.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
        typer.echo(f"its weights are equal; let devices choose: {PROGRAM} train {out} --promote production")
