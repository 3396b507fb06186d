"""The options that say which column of a data set is what; commands that read one share them."""

from typing import Annotated

import typer

_PANEL = "Columns of the data"
User = Annotated[
    str | None,
    typer.Option(
        "--user", help="Column of the user: a name, or a number from 1. [default: found]", rich_help_panel=_PANEL
    ),
]
Item = Annotated[
    str | None, typer.Option("--item", help="Column of the item. [default: found]", rich_help_panel=_PANEL)
]
Time = Annotated[
    str | None, typer.Option("--time", help="Column of the time. [default: found]", rich_help_panel=_PANEL)
]
TimeFormat = Annotated[
    str | None,
    typer.Option(
        "--time-format", help="How dates are written, e.g. %d/%m/%Y. [default: found]", rich_help_panel=_PANEL
    ),
]
Rating = Annotated[
    str | None, typer.Option("--rating", help="Column of the rating. [default: found]", rich_help_panel=_PANEL)
]
AtLeast = Annotated[
    float | None,
    typer.Option(
        "--at-least", help="Lower ratings are no interactions. [default: any rating is one]", rich_help_panel=_PANEL
    ),
]
