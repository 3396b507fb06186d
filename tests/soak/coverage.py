"""What was done at which breakpoint: in a run and, where a file keeps it, in all runs together."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.soak.breakpoints import BREAKPOINTS, Breakpoint
from tests.soak.operations import AT_BREAKPOINTS, Operation, Verb

Combination = tuple[Verb, Breakpoint]
NAMED = 40
"""Missing combinations that are printed."""
ALL: tuple[Combination, ...] = tuple(itertools.product(AT_BREAKPOINTS, BREAKPOINTS))


class Coverage:
    """The combinations that were reached.

    Args:
        file: keeps them, a line each; None: they are forgotten with the process.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        kept = set() if file is None or not file.exists() else set(file.read_text().splitlines())
        self.reached = {combination for combination in ALL if name_of(combination) in kept}

    def add(self, combination: Combination) -> None:
        """Somebody was stopped there, and this was done."""
        if combination in self.reached:
            return
        self.reached.add(combination)
        if self._file is not None:
            with self._file.open("a") as file:
                file.write(name_of(combination) + "\n")

    @property
    def missing(self) -> list[Combination]:
        """What was not reached yet."""
        return [combination for combination in ALL if combination not in self.reached]

    def preferred(self, listed: Iterable[tuple[int, Operation]]) -> Iterator[tuple[int, Operation]]:
        """Of a list of operations those at combinations that are missing, with what follows each.

        All of them once nothing is missing. What is reached meanwhile counts.
        """
        is_wanted = True
        for number, operation in listed:
            if operation.breakpoint_ is not None:
                is_wanted = (operation.verb, operation.breakpoint_) not in self.reached or not self.missing
            if is_wanted:
                yield number, operation

    def in_words(self) -> str:
        """How many were reached, and which were not."""
        names = [name_of(combination) for combination in self.missing]
        unnamed = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        missing = ", ".join(names[:NAMED]) or "none"
        return f"{len(self.reached)} of {len(ALL)} breakpoint combinations reached; missing: {missing}{unnamed}"


def name_of(combination: Combination) -> str:
    """As it is kept and printed."""
    verb, breakpoint_ = combination
    return f"{verb} {breakpoint_.name}"
