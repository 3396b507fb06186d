"""The options that say which column of a data set is what; commands that read one share them."""

from typing import Annotated, Any

import typer

from fedrec.commands.grouped import grouped
from fedrec.data.choice import ColumnChoice


def _option(kind: type, name: str, words: str, otherwise: str = "found") -> Any:
    panel = "Columns of the data"
    return Annotated[kind | None, typer.Option(name, help=words, show_default=otherwise, rich_help_panel=panel)]


_OPTIONS = {
    "user": _option(str, "--user", "Column of the user: a name, or a number from 1."),
    "item": _option(str, "--item", "Column of the item."),
    "time": _option(str, "--time", "Column of the time."),
    "time_format": _option(str, "--time-format", "How dates are written, e.g. %d/%m/%Y."),
    "rating": _option(str, "--rating", "Column of the rating."),
    "at_least": _option(float, "--at-least", "Lower ratings are no interactions.", "any rating is one"),
}


reads_columns = grouped("columns", ColumnChoice, _OPTIONS)
"""Gives a command these options in place of its parameter `columns`, which gets what was chosen."""
