"""Many ids in one statement."""

from collections.abc import Sequence

from sqlalchemy import ARRAY, BindParameter, ColumnElement, String, any_, bindparam, func, literal
from sqlalchemy.sql.functions import Function


def texts(name: str) -> BindParameter[str]:
    """A parameter of a statement, for ids or other texts that are `joined`."""
    return bindparam(name, type_=String)


def joined(ids: Sequence[str]) -> str:
    """Texts without commas as one text."""
    return ",".join(ids)


def array_of(texts: ColumnElement[str]) -> Function[Sequence[str]]:
    """The texts as Postgres's array.

    Sent as an array they are put together one by one, and as a parameter each even more slowly: for hundreds that takes
    longer than to find their rows.
    """
    return func.string_to_array(texts, ",", type_=ARRAY(String))


def is_one_of(column: ColumnElement[str], ids: Sequence[str] | BindParameter[str]) -> ColumnElement[bool]:
    """Whether a column holds one of these ids."""
    return column == any_(array_of(ids if isinstance(ids, BindParameter) else literal(joined(ids))))
