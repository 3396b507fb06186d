"""`fedrec model`: look at versions, and say which one devices fetch."""

from typing import Annotated

import typer

from fedrec.commands.combine import combine
from fedrec.commands.listing import AsJson, figures, minute, print_json, print_listing, size
from fedrec.commands.services import REGISTRY_URL, RegistryKey, RegistryUrl, registry
from fedrec.operator import Operator
from fedrec_protocol.registry_messages import AliasView, Gate, VersionView

model = typer.Typer(help="Models in the registry: versions, promotion, roll-back, combination.", no_args_is_help=True)
model.command("combine")(combine)

Model = Annotated[str, typer.Argument(metavar="MODEL", help="The model's name.")]
Alias = Annotated[str, typer.Option(help="The alias that moves; devices fetch `production`.")]
Reason = Annotated[str, typer.Option(help="Why, for the log.")]


@model.command("list")
def list_command(key: RegistryKey, url: RegistryUrl = REGISTRY_URL, as_json: AsJson = False) -> None:
    """All models and their aliases."""
    with registry(url, key) as operator:
        models = operator.models()
    if as_json:
        print_json(models)
        return
    rows = [
        (each.name, str(each.versions), ", ".join(f"{alias} {at}" for alias, at in sorted(each.aliases.items())))
        for each in models
    ]
    print_listing(("NAME", "VERSIONS", "ALIASES"), rows, nothing="there are no models")


@model.command("versions")
def versions(
    name: Model,
    key: RegistryKey,
    url: RegistryUrl = REGISTRY_URL,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Versions at most.")] = 20,
    as_json: AsJson = False,
) -> None:
    """A model's versions, the newest first, with their quality and the privacy spent."""
    with registry(url, key) as operator:
        found = operator.versions(name, limit=limit)
    if as_json:
        print_json(found)
        return
    headings = ("NUMBER", "PUBLISHED (UTC)", "REPORTS", "EPSILON", "SIZE", "METRICS", "ID")
    print_listing(headings, [_row(each) for each in found], nothing=f"{name} has no version yet")


def _row(view: VersionView) -> tuple[str, ...]:
    spent = (view.lineage.privacy or {}).get("epsilon")
    reports = "" if view.lineage.report_count is None else str(view.lineage.report_count)
    weights = size(view.size_bytes) if view.has_weights else "deleted"
    epsilon = f"{spent:.3g}" if isinstance(spent, float) else ""
    return str(view.number), minute(view.created_at), reports, epsilon, weights, figures(view.metrics), view.version_id


@model.command("promote")
def promote(
    name: Model,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The version's number, or its id.")],
    key: RegistryKey,
    url: RegistryUrl = REGISTRY_URL,
    alias: Alias = "production",
    metric: Annotated[
        str | None,
        typer.Option(help="Refuse unless the version's metric, e.g. ndcg@10, is as good as the present one's."),
    ] = None,
    minimum_improvement: Annotated[float, typer.Option(help="Better by this much; negative tolerates a loss.")] = 0.0,
    reason: Reason = "",
) -> None:
    """Move an alias to a version."""
    with registry(url, key) as operator:
        gate = None if metric is None else Gate(metric=metric, minimum_improvement=minimum_improvement)
        moved = operator.promote(name, alias, _id_of(operator, name, version), gate=gate, reason=reason)
    typer.echo(_in_words(moved))


@model.command("roll-back")
def roll_back(
    name: Model, key: RegistryKey, url: RegistryUrl = REGISTRY_URL, alias: Alias = "production", reason: Reason = ""
) -> None:
    """Move an alias back to the version before."""
    with registry(url, key) as operator:
        moved = operator.roll_back(name, alias, reason=reason)
    typer.echo(_in_words(moved))


def _in_words(view: AliasView) -> str:
    return f"{view.alias} is version {view.version.number} of {view.model}: {view.version.version_id}"


def _id_of(operator: Operator, name: str, version: str) -> str:
    """The id of a version that was given by its number or its id."""
    return operator.version_called(name, version).version_id if version.isdecimal() else version
