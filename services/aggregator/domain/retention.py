"""How long rows are kept of what is over, and of whom nobody sees any more."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Kept(StrEnum):
    """What is left of a round's assignments."""

    EVERYTHING = "everything"  # who was asked, and who reported
    RECEIPTS = "receipts"  # who reported
    NOTHING = "nothing"  # neither; the row of a published round stays


@dataclass(frozen=True)
class Retention:
    """When they go, those of a round counted from its end.

    Receipts bound how often somebody takes part: those that still do so stay, and their clients with them.
    """

    unreported: timedelta = timedelta(days=7)
    """Assignments that nobody reported to."""
    receipts: timedelta = timedelta(days=90)
    """Receipts with their assignments, and rounds that were abandoned."""
    audit: timedelta | None = None
    """Entries of the audit log, from when they were made; None: they stay."""
    clients: timedelta | None = timedelta(days=400)
    """Clients, from the day on which they last got a token; None: they stay."""
