"""Rows of many ids."""

from collections.abc import Sequence

from sqlalchemy import ARRAY, Column, ColumnElement, String, any_, literal


def is_one_of(column: Column[str], ids: Sequence[str]) -> ColumnElement[bool]:
    """Whether a column holds one of these ids.

    They are one array: a parameter for each of hundreds takes longer to put together than the rows to find.
    """
    return column == any_(literal(list(ids), ARRAY(String)))
