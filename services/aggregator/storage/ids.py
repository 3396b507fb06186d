"""Many ids in one statement."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BindParameter,
    ColumnElement,
    Dialect,
    String,
    TypeDecorator,
    any_,
    bindparam,
    func,
    literal,
)
from sqlalchemy.sql.functions import Function


class _Texts(TypeDecorator[Sequence[str]]):
    """Texts without commas, sent as one text."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return ",".join(value)


def texts(name: str) -> BindParameter[Sequence[str]]:
    """A parameter of a statement, for ids or other texts without commas."""
    return bindparam(name, type_=_Texts())


def array_of(parameter: ColumnElement[Sequence[str]]) -> Function[Sequence[str]]:
    """The texts as Postgres's array.

    Sent as an array they are put together one by one, and as a parameter each even more slowly: for hundreds that takes
    longer than to find their rows.
    """
    return func.string_to_array(parameter, ",", type_=ARRAY(String))


def is_one_of(column: ColumnElement[str], ids: Sequence[str] | BindParameter[Sequence[str]]) -> ColumnElement[bool]:
    """Whether a column holds one of these ids."""
    return column == any_(array_of(ids if isinstance(ids, BindParameter) else literal(ids, _Texts())))
