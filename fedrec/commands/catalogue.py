"""`fedrec catalogue`: items come and go while a model is trained."""

from pathlib import Path
from typing import Annotated

import typer

from fedrec.commands.refusals import refusing_arguments
from fedrec.commands.services import REGISTRY_URL, RegistryKey, RegistryUrl, registry
from fedrec.refused import Refused
from fedrec_protocol.item_catalogue import ItemCatalogue


def catalogue(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name of the model.")],
    key: RegistryKey,
    url: RegistryUrl = REGISTRY_URL,
    capacity: Annotated[
        int | None, typer.Option(min=1, help="Make the catalogue: rows of the item tensors, the number_of_items.")
    ] = None,
    add: Annotated[Path | None, typer.Option(help="File of items to add, one id a line.")] = None,
    retire: Annotated[Path | None, typer.Option(help="File of items to retire, one id a line.")] = None,
) -> None:
    """Add and retire items; prints the catalogue's version, size and digest."""
    with refusing_arguments():
        adding, retiring = _lines(add), _lines(retire)
    with registry(url, key) as operator:
        if capacity is not None:
            operator.make_catalogue(model, capacity)
        operator.change_catalogue(model, add=adding, retire=retiring)
        view = operator.catalogue(model)
    items = ItemCatalogue().with_changes(view.changes)
    typer.echo(
        f"catalogue {view.number} of {model}: {len(items)} items, {len(items.retired)} of them retired, "
        f"{view.capacity - len(items)} rows free, digest {view.digest}"
    )


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"{path}: {error}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]
