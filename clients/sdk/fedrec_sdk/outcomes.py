"""What can come of a contribution: values to `match` on. Only the unexpected is an exception."""

from dataclasses import dataclass
from datetime import timedelta

from fedrec_protocol.messages import NotSelectedReason, RoundKind


@dataclass(frozen=True)
class Contributed:
    """The report is durable on the server, and counted exactly once."""

    report_id: str
    """Opaque id of the report, from its receipt."""
    round_number: int
    """The round it was counted in."""
    kind: RoundKind
    """Whether this participant trained, or only measured the model."""


@dataclass(frozen=True)
class NotSelected:
    """There is no work for this participant now."""

    retry_after: timedelta
    """When to check in again."""
    reason: NotSelectedReason
    """Why."""
    detail: str
    """The reason in words."""


@dataclass(frozen=True)
class TooLate:
    """The round closed, or the assignment expired, before the report arrived; nothing was counted."""

    round_number: int
    """The round that was missed."""
    reason: str
    """Slug of the service's answer, e.g. `round-closed`."""


@dataclass(frozen=True)
class WaitingForOthers:
    """A round in phases waits for its other participants; call again to go on with it."""

    retry_after: timedelta
    """When to look again."""
    round_number: int
    """The round."""


@dataclass(frozen=True)
class NothingToTrain:
    """There are no local examples yet, so no work was asked for.

    What is held out to be measured, the last interaction unless `holdout` says otherwise, is none.
    """

    retry_after: timedelta
    """When `run` looks again."""


@dataclass(frozen=True)
class TaskEnded:
    """The task is complete: there will be no more work."""

    detail: str
    """Why, in words."""


Outcome = Contributed | NotSelected | TooLate | WaitingForOthers | NothingToTrain | TaskEnded
