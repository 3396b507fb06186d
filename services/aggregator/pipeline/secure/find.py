"""Whose resource is asked for, and how far its round is."""

from dataclasses import dataclass

from sqlalchemy import Connection

from fedrec_protocol.secure_messages import SecurePhase
from services.aggregator.domain.device_keys import require_current
from services.aggregator.domain.errors import NoSecureAggregation, PhaseClosed, UnknownAssignment
from services.aggregator.pipeline.asking import Asking
from services.aggregator.storage import assignments, rounds, secure_rounds, tasks
from services.aggregator.storage.assignments import AssignmentRow
from services.aggregator.storage.secure_rounds import SecureParticipant, SecureRow
from services.aggregator.storage.secure_sets import frozen, rostered_round, sets_of


@dataclass(frozen=True)
class Found:
    """A secure round that is under way, as one of its participants meets it."""

    assignment: AssignmentRow
    row: SecureRow
    joined: SecureParticipant | None
    """None before the participant has sent its keys."""

    @property
    def position(self) -> int:
        """Place on the roster.

        Raises:
            PhaseClosed: it is not on it.
        """
        if self.joined is None or self.joined.position is None:
            raise PhaseClosed("the round goes on without this participant: it joined too late")
        return self.joined.position

    def require_rostered(self) -> None:
        """Raise `PhaseClosed` unless it is on the roster."""
        rostered_round(self.row).device_key(self.position)

    def require_sharer(self) -> None:
        """Raise `PhaseClosed` unless its shares were dealt in time."""
        if self.position not in rostered_round(self.row).read_set(frozen(self.row.sharers)):
            raise PhaseClosed("the round goes on without this participant: its shares came too late")

    def require_survivor(self) -> None:
        """Raise `PhaseClosed` unless its report is in the sum."""
        if self.row.survivors is not None and self.position not in sets_of(self.row).survivors:
            raise PhaseClosed("the round goes on without this participant: its report came too late")


def find(tx: Connection, who: Asking, *, share: bool = False) -> Found:
    """The secure round of one's own assignment; with `share`, its phase stays until the transaction ends.

    Raises:
        UnknownAssignment: there is none, or it is somebody else's.
        CredentialExpired: the device's key was replaced since its token was issued.
        NoSecureAggregation: its task has plain reports.
        PhaseClosed: the round is over, and what was sent in it is deleted.
    """
    assignment = assignments.find(tx, [who.assignment_id]).get(who.assignment_id)
    if assignment is None or assignment.client_id != who.client_id:
        raise UnknownAssignment(f"you have no assignment {who.assignment_id!r}")
    require_current(who.device_key, assignment.device_key)
    row = secure_rounds.find(tx, assignment.round_id, share=share)
    if row is None:
        task = tasks.get(tx, rounds.get(tx, assignment.round_id).task_id)
        if task.manifest.secure_aggregation is None:
            raise NoSecureAggregation("the reports of this task are not masked")
        raise PhaseClosed("the round is over; check in for a new assignment")
    return Found(assignment, row, secure_rounds.participant(tx, who.assignment_id))


def require_reporting(tx: Connection, who: Asking) -> None:
    """Let a masked report through, if its sender is among those whose masks cancel.

    Raises:
        PhaseNotOpen, PhaseClosed: it is too early or too late, or the round goes on without it.
    """
    # While the round collects, its phase moves on from reporting only together with the round's state, under
    # the lock that every commit of a report shares: what is true here stays true, or the commit refuses.
    found = find(tx, who)
    found.row.secure.require(SecurePhase.REPORTING)
    found.require_sharer()
