"""`fedrec audit`: what operators did."""

from typing import Annotated

import typer

from fedrec.administrator import Administrator
from fedrec.commands.listing import AsJson, print_json, print_listing
from fedrec.commands.services import AGGREGATOR_URL, AdministratorKey, EitherUrl, explaining_refusals


def audit(
    key: AdministratorKey,
    url: EitherUrl = AGGREGATOR_URL,
    limit: Annotated[int, typer.Option(min=1, max=500, help="Entries at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Print what operators did, the newest last: when, who, what, to what."""
    with explaining_refusals(), Administrator(url, key) as administrator:
        entries = administrator.audit(limit=limit)
    if as_json:
        print_json(entries[::-1])
        return
    rows = [
        (f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.operator, entry.action, entry.subject) for entry in reversed(entries)
    ]
    print_listing(("TIME (UTC)", "WHO", "WHAT", "TO WHAT"), rows, nothing="nothing was done yet")
