"""Transactions that fail on purpose, on either side of their commit."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from services.kit.db import Database, DatabaseUnavailable


class When(StrEnum):
    """Where the connection breaks."""

    BEFORE = "before"  # nothing was committed
    AFTER = "after"  # everything was, and nobody was told


class Faults:
    """Breaks the next transaction of a name."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._run: Callable[..., Any] = database.run
        self._planned: dict[str, When] = {}
        database.run = self._run_or_break  # type: ignore[method-assign] # the seam that every step goes through

    def plan(self, name: str, when: When) -> None:
        """The next transaction of this name breaks."""
        self._planned[name] = when

    def clear(self) -> None:
        """Nothing breaks any more."""
        self._planned.clear()

    def remove(self) -> None:
        """The database is as it was."""
        self._database.run = self._run  # type: ignore[method-assign] # see above

    def _run_or_break(self, name: str, step: Callable[..., Any]) -> Any:
        when = self._planned.pop(name, None)
        if when is When.BEFORE:
            raise DatabaseUnavailable(f"{name} was broken before its commit")
        result = self._run(name, step)
        if when is When.AFTER:
            raise DatabaseUnavailable(f"{name} was broken after its commit")
        return result
