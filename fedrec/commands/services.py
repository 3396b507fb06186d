"""How a command reaches a running deployment: addresses, operator keys, and refusals in one sentence."""

import contextlib
from collections.abc import Iterator
from typing import Annotated

import typer
from pydantic import ValidationError

from fedrec.operator import Operator
from fedrec.service_client import OperatorError
from fedrec_protocol.base import reasons

AGGREGATOR_URL = "http://127.0.0.1:8000"
REGISTRY_URL = "http://127.0.0.1:8001"
"""Where `fedrec serve` and the compose file put the services."""

AggregatorUrl = Annotated[str, typer.Option("--url", envvar="FEDREC_URL", help="The aggregator.")]
AggregatorKey = Annotated[
    str,
    typer.Option("--key", envvar="FEDREC_OPERATOR_KEY", help="The aggregator's operator key, of the role it takes."),
]
RegistryUrl = Annotated[str, typer.Option("--url", envvar="FEDREC_REGISTRY_URL", help="The model registry.")]
RegistryKey = Annotated[
    str, typer.Option("--key", envvar="FEDREC_REGISTRY_KEY", help="The registry's operator key, of the role it takes.")
]
EitherUrl = Annotated[
    str, typer.Option("--url", envvar="FEDREC_URL", help="The aggregator, or the model registry: each has its own.")
]
AdministratorKey = Annotated[
    str, typer.Option("--key", envvar="FEDREC_OPERATOR_KEY", help="Operator key of role admin, of that service.")
]


@contextlib.contextmanager
def explaining_refusals() -> Iterator[None]:
    """Within the block a service that refuses, or is not there, ends the command with its words and status 1.

    What no service would take is not sent: it is refused as typed.
    """
    try:
        yield
    except ValidationError as problem:
        raise typer.BadParameter(reasons(problem)) from problem
    except OperatorError as refusal:
        typer.echo(f"fedrec: {refusal}", err=True)
        raise typer.Exit(1) from refusal


@contextlib.contextmanager
def aggregator(url: str, key: str) -> Iterator[Operator]:
    """An operator of the aggregator alone."""
    with explaining_refusals(), Operator(url, "", aggregator_key=key, registry_key="") as operator:
        yield operator


@contextlib.contextmanager
def registry(url: str, key: str) -> Iterator[Operator]:
    """An operator of the model registry alone."""
    with explaining_refusals(), Operator("", url, aggregator_key="", registry_key=key) as operator:
        yield operator
