"""A round in phases, as a device goes through it: one step after the other, each of which may be repeated."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from fedrec_protocol.problems import Slug
from fedrec_sdk.errors import Rejected
from fedrec_sdk.outcomes import Contributed, Outcome, TooLate, WaitingForOthers
from fedrec_sdk.store.secure_rounds import PendingSecureRound, SecureRounds

log = logging.getLogger(__name__)

_OVER = frozenset({Slug.PHASE_CLOSED, Slug.ROUND_CLOSED, Slug.ASSIGNMENT_EXPIRED, Slug.UNKNOWN_ASSIGNMENT})
"""What a server says to a message that comes after its phase."""
_WHO_ARE_YOU = frozenset({401, 403})

Step = Callable[[PendingSecureRound], Outcome | None]
"""Answers what can be answered now; None when there is another step to take at once."""


class Left(Exception):
    """The round goes on without this device, and nobody is to blame: the words say why."""


@dataclass(frozen=True)
class Phases:
    """Goes through the round that the store holds."""

    rounds: SecureRounds

    def proceed(self, step: Step, hold_seconds: float) -> Outcome:
        """Answer all that can be answered now, and wait for the others for up to so long.

        Raises:
            Unavailable: it stopped half-way; calling again goes on from there.
            Rejected: the server refused a message, or this device refuses the round, which is then dropped.
        """
        ends = time.monotonic() + hold_seconds
        while (pending := self.rounds.pending()) is not None:
            outcome = self._attempt(step, pending)
            if isinstance(outcome, WaitingForOthers):
                seconds = outcome.retry_after.total_seconds()
                if time.monotonic() + seconds > ends:
                    return outcome
                time.sleep(seconds)
            elif outcome is not None:
                return outcome
        raise RuntimeError("there is no round to proceed with")

    def _attempt(self, step: Step, pending: PendingSecureRound) -> Outcome | None:
        try:
            return step(pending)
        except Rejected as refusal:
            if refusal.problem.status in _WHO_ARE_YOU:
                raise  # the round may be fine: it stays for when the credentials are
            self.rounds.discard()
            if refusal.slug not in _OVER:
                raise
            return _left(pending, refusal.slug)
        except Left as left:
            self.rounds.discard()
            return _left(pending, str(left))


def _left(pending: PendingSecureRound, reason: str) -> Outcome:
    log.info("round %d: went on without this device (%s)", pending.round_number, reason)
    if pending.report_id is not None:
        return Contributed(pending.report_id, pending.round_number, pending.kind)
    return TooLate(pending.round_number, reason)
