"""The life of a round."""

from dataclasses import dataclass, replace
from datetime import datetime

from fedrec_protocol.manifest import RoundPolicy
from fedrec_protocol.messages import ModelReference, RoundKind, RoundState
from services.aggregator.domain.errors import RoundClosed

UNDER_WAY = (RoundState.COLLECTING, RoundState.AGGREGATING)
"""Of a round that is not over; a task has one such round at most."""


def require_collecting(number: int, state: RoundState) -> None:
    """Raise `RoundClosed` unless a round in this state accepts reports."""
    if state is not RoundState.COLLECTING:
        raise RoundClosed(f"round {number} is {state}; check in for a new assignment")


@dataclass(frozen=True)
class Round:
    """A round; every change returns the next value."""

    id: str
    task_id: str
    number: int
    kind: RoundKind
    state: RoundState
    base: ModelReference
    opened_at: datetime
    deadline: datetime
    closed_at: datetime | None = None
    abandoned_reason: str = ""
    clipping_norm: float | None = None
    """L2 bound on a report where clipping is adaptive; None: the manifest's."""
    drawn: int | None = None
    """Participants that the server has drawn, all of whom it waits for; None where whoever checks in is taken."""

    @property
    def is_under_way(self) -> bool:
        """Whether something may still come of it."""
        return self.state in UNDER_WAY

    def require_collecting(self) -> None:
        """Raise `RoundClosed` unless reports are accepted."""
        require_collecting(self.number, self.state)

    def due(self, policy: RoundPolicy, reports: int, now: datetime) -> "Round | None":
        """The round after whatever is due now: closed, abandoned, or None while it goes on collecting."""
        self.require_collecting()
        is_complete = reports >= self.goal(policy)
        if is_complete and (self.drawn is None or reports >= policy.minimum_reports):
            return self.closed(now)
        if now < self.deadline and not is_complete:
            return None
        if reports >= policy.minimum_reports:
            return self.closed(now)
        when = "at the deadline" if now >= self.deadline else "when all who were drawn had reported"
        return self.abandoned(f"{reports} of {policy.minimum_reports} reports {when}", now)

    def goal(self, policy: RoundPolicy) -> int:
        """Reports after which there is nobody to wait for."""
        return policy.aggregation_goal if self.drawn is None else self.drawn

    def abandoned(self, reason: str, now: datetime) -> "Round":
        """Given up: nothing of it is released."""
        return replace(self, state=RoundState.ABANDONED, closed_at=now, abandoned_reason=reason)

    def published(self) -> "Round":
        """The registry holds what came of it."""
        return replace(self, state=RoundState.PUBLISHED)

    def closed(self, now: datetime) -> "Round":
        """No more reports are accepted: the sum is final."""
        return replace(self, state=RoundState.AGGREGATING, closed_at=now)


def waiting_for(
    round_: Round, policy: RoundPolicy, *, reports: int, assignments: int, task_failure: str | None = None
) -> str:
    """What must happen next, or what became of a round that is over, in words for an operator.

    `task_failure` is why the task has failed, if it has.
    """
    match round_.state:
        case RoundState.COLLECTING:
            at_work = max(assignments - reports, 0)
            floor = f", at least {policy.minimum_reports} by then" if reports < policy.minimum_reports else ""
            return (
                f"{reports} of {round_.goal(policy)} reported, {at_work} at work, "
                f"closes {round_.deadline:%Y-%m-%d %H:%M:%S} UTC{floor}"
            )
        case RoundState.AGGREGATING if task_failure is not None:
            return f"an operator to resume the task: {task_failure}"
        case RoundState.AGGREGATING:
            return "a worker to aggregate and publish"
        case RoundState.PUBLISHED:
            return f"it is published: {reports} of {round_.goal(policy)} reported"
        case RoundState.ABANDONED:
            return f"it was abandoned: {round_.abandoned_reason}"
