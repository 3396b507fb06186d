"""The phases of a secure round: each freezes a set before anybody is shown it.

advertising -> sharing -> reporting -> confirming -> revealing -> unmasking. While the first three are open
the round collects; from then on its sum is fixed, and what is missing are the shares that take the masks off.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from fedrec_protocol.secagg.descriptor import RoundDescriptor
from fedrec_protocol.secure_messages import SecurePhase
from services.aggregator.domain.errors import PhaseClosed, PhaseNotOpen


class TooFew(Exception):
    """So few have answered at a phase's end that nothing may be released."""


@dataclass(frozen=True)
class SecureRound:
    """A round's phase; every change returns the next value."""

    round_id: str
    phase: SecurePhase
    descriptor: RoundDescriptor
    since: datetime
    """When the open phase began."""

    def require(self, phase: SecurePhase) -> None:
        """Raise unless messages of this phase are accepted.

        Raises:
            PhaseNotOpen: it has not begun.
            PhaseClosed: it is over.
        """
        if self.phase.place < phase.place:
            raise PhaseNotOpen(f"the round is {self.phase}")
        if self.phase.place > phase.place:
            raise PhaseClosed(f"the round is {self.phase}; check in for a new assignment")

    def is_due(self, *, answered: int, expected: int, now: datetime) -> bool:
        """Whether the open phase ends now: all who are expected have answered, or its time is over."""
        if self.phase is SecurePhase.UNMASKING:
            return False
        return answered >= expected or now >= self.deadline

    @property
    def deadline(self) -> datetime:
        """When the open phase closes at the latest.

        The descriptor's deadlines are for rounds in which every phase takes all its time. One that began early
        ends early too, so that one participant who leaves does not cost the others the time that they saved.
        """
        until = self.descriptor.deadlines
        ends = (until.advertise, until.share, until.report, until.acknowledge, until.reveal)
        place = min(self.phase.place, len(ends) - 1)
        agreed = datetime.fromtimestamp(ends[place], UTC)
        return agreed if place == 0 else min(agreed, self.since + timedelta(seconds=ends[place] - ends[place - 1]))

    def next(self, answered: int, now: datetime) -> "SecureRound":
        """The next phase, with those who answered in this one.

        Raises:
            TooFew: fewer than the floor of survivors.
        """
        floor = self.descriptor.minimum_survivors
        # Whether those who confirmed or revealed are enough is for the thresholds to say, one for each secret.
        if self.phase.place <= SecurePhase.REPORTING.place and answered < floor:
            raise TooFew(f"{answered} of at least {floor} while {self.phase}")
        return replace(self, phase=list(SecurePhase)[self.phase.place + 1], since=now)


def in_words(secure: SecureRound, *, answered: int, expected: int) -> str:
    """What must happen next, for an operator."""
    if secure.phase is SecurePhase.UNMASKING:
        return "a worker to take off the masks, aggregate and publish"
    return f"{secure.phase}: {answered} of {expected}, closes {secure.deadline:%Y-%m-%d %H:%M:%S} UTC"
