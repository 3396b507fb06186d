"""Rows for people to read and for programs to cut: nothing is shortened, whatever the terminal's width. Or as JSON."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer
from pydantic import BaseModel

AsJson = Annotated[bool, typer.Option("--json", help="Print all that the service says of each, as JSON.")]


def print_json(views: Sequence[BaseModel]) -> None:
    """What a service answered, as an array."""
    typer.echo(json.dumps([view.model_dump(mode="json") for view in views], indent=2))


def print_listing(headings: Sequence[str], rows: Sequence[Sequence[str]], *, nothing: str) -> None:
    """Print columns that line up, two spaces apart; `nothing` says what there is none of, where there are no rows."""
    if not rows:
        typer.echo(nothing, err=True)  # a program that reads the rows gets none
        return
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in (headings, *rows):
        typer.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def minute(time: datetime | None, otherwise: str = "") -> str:
    """A time of the services (UTC), to the minute."""
    return otherwise if time is None else f"{time:%Y-%m-%d %H:%M}"


def size(size_bytes: int) -> str:
    """A size with its unit."""
    return f"{size_bytes / 1e3:.1f} kB" if size_bytes < 1e6 else f"{size_bytes / 1e6:.1f} MB"


def figures(metrics: dict[str, float] | None) -> str:
    """Metrics in one cell."""
    return ", ".join(f"{name} {value:.4f}" for name, value in sorted((metrics or {}).items()))
