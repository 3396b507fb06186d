"""`fedrec audit`: what operators did."""

from typing import Annotated

import typer

from fedrec.operator import OperatorError, read_audit


def audit(
    key: Annotated[str, typer.Option(envvar="FEDREC_OPERATOR_KEY", help="Operator key of role admin.")],
    url: Annotated[
        str, typer.Option(envvar="FEDREC_URL", help="The aggregator, or the model registry: each keeps a log.")
    ] = "http://127.0.0.1:8000",
    limit: Annotated[int, typer.Option(min=1, max=500, help="Entries at most.")] = 50,
) -> None:
    """Print what operators did, the newest last: when, who, what, to what."""
    try:
        entries = read_audit(url, key, limit=limit)
    except OperatorError as refusal:
        typer.echo(f"fedrec: {refusal}", err=True)
        raise typer.Exit(1) from refusal
    for entry in reversed(entries):
        typer.echo(f"{entry.at:%Y-%m-%d %H:%M:%S} UTC  {entry.operator}  {entry.action}  {entry.subject}")
