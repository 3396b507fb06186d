"""`fedrec catalogue`: items come and go while a model is trained."""

from pathlib import Path
from typing import Annotated

import typer

from fedrec.commands.refusals import refusing_arguments
from fedrec.operator import Operator, OperatorError
from fedrec_protocol.item_catalogue import MAXIMUM_CHANGES, ItemCatalogue


def catalogue(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    key: Annotated[str, typer.Option(envvar="FEDREC_REGISTRY_KEY", help="The registry's operator key of role run.")],
    url: Annotated[
        str, typer.Option(envvar="FEDREC_REGISTRY_URL", help="The model registry.")
    ] = "http://127.0.0.1:8001",
    capacity: Annotated[
        int | None, typer.Option(min=1, help="Make the catalogue: rows of the item tensors, the number_of_items.")
    ] = None,
    add: Annotated[Path | None, typer.Option(help="File of items to add, one id a line.")] = None,
    retire: Annotated[Path | None, typer.Option(help="File of items to retire, one id a line.")] = None,
) -> None:
    """Add and retire items; prints the catalogue's version, size and digest."""
    with refusing_arguments():
        adding, retiring = _lines(add), _lines(retire)
    try:
        with Operator("", url, aggregator_key="", registry_key=key) as operator:
            if capacity is not None:
                operator.make_catalogue(model, capacity)
            for start in range(0, len(adding), MAXIMUM_CHANGES):
                operator.change_catalogue(model, add=adding[start : start + MAXIMUM_CHANGES])
            for start in range(0, len(retiring), MAXIMUM_CHANGES):
                operator.change_catalogue(model, retire=retiring[start : start + MAXIMUM_CHANGES])
            view = operator.catalogue(model)
    except (OperatorError, ValueError) as refusal:
        typer.echo(f"fedrec: {refusal}", err=True)
        raise typer.Exit(1) from refusal
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
        raise ValueError(f"{path}: {error}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]
