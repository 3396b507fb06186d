"""`fedrec client`: keep a device out, or erase what is kept of it."""

from typing import Annotated

import typer

from fedrec.commands.services import AGGREGATOR_URL, AggregatorKey, AggregatorUrl, aggregator
from fedrec.commands.task import Task, find

client = typer.Typer(help="Devices that are enrolled: revoke, erase.", no_args_is_help=True)

ClientId = Annotated[
    str, typer.Argument(metavar="ID", help="The device's client id: `Participant.enrol()` returns it to its app.")
]


@client.command()
def revoke(task: Task, client_id: ClientId, key: AggregatorKey, url: AggregatorUrl = AGGREGATOR_URL) -> None:
    """Give a device no more work and no more tokens, for good."""
    with aggregator(url, key) as operator:
        operator.revoke_client(find(operator, task).task_id, client_id)
    typer.echo(f"{client_id} is revoked")


@client.command()
def erase(client_id: ClientId, key: AggregatorKey, url: AggregatorUrl = AGGREGATOR_URL) -> None:
    """Revoke a device and delete what is kept of it, with a key of role admin. Published models stay as they are."""
    with aggregator(url, key) as operator:
        operator.erase_client(client_id)
    typer.echo(f"{client_id} is revoked; what is kept of it is deleted at once, or when its round is over")
