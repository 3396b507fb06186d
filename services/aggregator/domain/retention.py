"""How long the rows of rounds that are over are kept."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Kept(StrEnum):
    """What is left of a round's assignments."""

    EVERYTHING = "everything"  # who was asked, and who reported
    RECEIPTS = "receipts"  # who reported
    NOTHING = "nothing"  # neither; the round's own row stays


@dataclass(frozen=True)
class Retention:
    """When they go, counted from the end of their round.

    Receipts bound how often somebody takes part, so those of a task with such a bound stay until it is completed.
    """

    unreported: timedelta = timedelta(days=7)
    """Assignments that nobody reported to."""
    receipts: timedelta = timedelta(days=90)
    """Receipts with their assignments."""
