"""Options of commands that come in groups: those that several commands share, and those that are too many for one."""

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

Command = Callable[..., None]


def grouped(parameter: str, group: type, options: Mapping[str, Any] | None = None) -> Callable[[Command], Command]:
    """Give a command the fields of a dataclass as options in place of one parameter, which gets the dataclass.

    Typer makes options of a signature, so the command is given one that lists them.

    Args:
        parameter: The parameter's name.
        group: The dataclass; every field has a default.
        options: What Typer is told of each field; by default what the field is annotated with.
    """
    kinds = get_type_hints(group, include_extras=True) if options is None else options

    def spread(command: Command) -> Command:
        signature = inspect.signature(command)
        listed: list[inspect.Parameter] = []
        for own in signature.parameters.values():
            if own.name == parameter:
                listed += (
                    own.replace(name=name, default=getattr(group, name), annotation=kinds[name]) for name in kinds
                )
            else:
                listed.append(own)

        @functools.wraps(command)
        def run(**values: Any) -> None:
            made = group(**{name: values.pop(name) for name in kinds})
            command(**values, **{parameter: made})

        keyword_only = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in listed]
        run.__signature__ = signature.replace(parameters=keyword_only)  # type: ignore[attr-defined] # for Typer
        return run

    return spread
