"""How long the rows of what is over are kept."""

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
    """When they go, those of a round counted from its end.

    Receipts bound how often somebody takes part, so those of a task with such a bound stay until it is completed.
    """

    unreported: timedelta = timedelta(days=7)
    """Assignments that nobody reported to."""
    receipts: timedelta = timedelta(days=90)
    """Receipts with their assignments."""
    audit: timedelta | None = None
    """Entries of the audit log, from when they were made; None: they stay."""
