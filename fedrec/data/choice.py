"""What only the owner of a data set can say of its columns."""

import shlex
from dataclasses import dataclass


@dataclass(frozen=True)
class ColumnChoice:
    """Which column is what, where the names do not tell; None is found by name, and then by content.

    A column is given by its name, or by its number from 1.
    """

    user: str | None = None
    item: str | None = None
    time: str | None = None
    rating: str | None = None
    time_format: str | None = None
    """How dates are written, as `strptime` has it, e.g. `%d/%m/%Y`."""
    at_least: float | None = None
    """Rows with a lower rating are no interactions; None takes every row, whatever its rating."""

    def as_options(self) -> str:
        """The same on the command line."""
        options = {
            "--user": self.user,
            "--item": self.item,
            "--time": self.time,
            "--rating": self.rating,
            "--time-format": self.time_format,
            "--at-least": None if self.at_least is None else f"{self.at_least:g}",
        }
        return "".join(f" {name} {shlex.quote(value)}" for name, value in options.items() if value is not None)


FOUND = ColumnChoice()
"""Everything is found."""
