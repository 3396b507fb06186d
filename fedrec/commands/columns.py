"""The options that say which column of a data set is what; commands that read one share them."""

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

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


def reads_columns(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command these options in place of its last parameter, `columns`, which gets what was chosen.

    Typer makes options of a signature, so the command is given one that lists them.
    """
    signature = inspect.signature(command)
    *own, _ = signature.parameters.values()
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for name, kind in _OPTIONS.items()
    ]

    @functools.wraps(command)
    def run(**values: Any) -> None:
        columns = ColumnChoice(**{name: values.pop(name) for name in _OPTIONS})
        command(**values, columns=columns)

    run.__signature__ = signature.replace(parameters=[*own, *options])  # type: ignore[attr-defined] # for Typer
    return run
