"""Pace steering: when a participant that got no work should ask again.

After Bonawitz et al. 2019, "Towards Federated Learning at Scale: System Design", section 2.3
(https://arxiv.org/abs/1902.01046). With N participants who ask and rounds of M places that take T seconds each,
participants who stay away for d seconds arrive N / d times a second. A round needs M of them in T seconds; with
h = 2 welcome arrivals for each place,

    d = T N / (h M)

fills every round and no more. Where N <= h M everybody is welcome in every round, and the reason's own time counts.
"""

import hashlib
from dataclasses import dataclass

from fedrec_protocol.messages import NotSelectedReason

WELCOME_PER_PLACE = 2.0
"""h: arrivals for each place of a round; some will be too soon, or leave without a report."""
LONGEST_SECONDS = 1800.0
"""Nobody is sent away for longer because of a crowd: whoever stays away for longer is no longer counted."""
WELCOME_PER_SECOND = 200.0
"""Check-ins that one process answers with ease; a crowd that asks at once is spread so far."""

_SECONDS = {
    NotSelectedReason.NO_OPEN_ROUND: 2.0,
    NotSelectedReason.COHORT_FULL: 5.0,
    NotSelectedReason.ALREADY_REPORTED: 2.0,
    NotSelectedReason.TOO_SOON: 10.0,
    NotSelectedReason.TASK_PAUSED: 60.0,
    NotSelectedReason.PARTICIPATION_CAP: 3600.0,
    NotSelectedReason.TASK_ENDED: 3600.0,
    NotSelectedReason.TOO_LATE: 5.0,
    NotSelectedReason.REVOKED: 86400.0,
    NotSelectedReason.NOT_DRAWN: 10.0,
}
_TURNS = {
    NotSelectedReason.NO_OPEN_ROUND: 1.0,
    NotSelectedReason.COHORT_FULL: 1.0,
    NotSelectedReason.TOO_LATE: 1.0,
    # Who has taken part lets another turn pass: it is for those who were turned away.
    NotSelectedReason.ALREADY_REPORTED: 2.0,
    NotSelectedReason.TOO_SOON: 2.0,
}

DETAIL = {
    NotSelectedReason.NO_OPEN_ROUND: "no round is open now",
    NotSelectedReason.COHORT_FULL: "the open round has all the participants it asked for",
    NotSelectedReason.ALREADY_REPORTED: "your report of the open round is counted; wait for the next round",
    NotSelectedReason.TOO_SOON: "you took part too recently; the task asks for a pause between two reports",
    NotSelectedReason.TASK_PAUSED: "the task is paused",
    NotSelectedReason.PARTICIPATION_CAP: "you took part as often as this task allows",
    NotSelectedReason.TASK_ENDED: "the task has ended",
    NotSelectedReason.TOO_LATE: "your assignment of the open round has expired; wait for the next round",
    NotSelectedReason.REVOKED: "this client was revoked by an operator",
    NotSelectedReason.NOT_DRAWN: "you were not drawn for the open round; every round is drawn anew",
}


@dataclass(frozen=True)
class Demand:
    """How many want to take part, and how many can."""

    participants: float
    """N: distinct participants who asked recently."""
    places: int
    """M: participants that one round takes."""
    round_seconds: float
    """T: time from one round to the next."""

    @property
    def turn_seconds(self) -> float:
        """d: the time in which every participant should ask once; 0 where all are welcome in every round."""
        if not is_crowd(self.participants, self.places):
            return 0.0
        return self.round_seconds * self.participants / (WELCOME_PER_PLACE * self.places)


def is_crowd(participants: float, places: int) -> bool:
    """Whether there are more than are welcome in one round."""
    return participants > WELCOME_PER_PLACE * places


def retry_after_seconds(
    reason: NotSelectedReason, client_id: str, demand: Demand, *, asking: int = 1, round_number: int = 0
) -> float:
    """How long to wait, spread over plus or minus a quarter so that those refused together do not return together.

    Args:
        reason: Why there was no work.
        client_id: Spreads the answers, together with the round: nobody is late in every round.
        demand: Who else wants to take part.
        asking: Participants that asked at the same moment.
        round_number: Of the task's newest round.
    """
    turn = min(_TURNS.get(reason, 0.0) * demand.turn_seconds, LONGEST_SECONDS)
    seconds = max(_SECONDS[reason], turn, asking / WELCOME_PER_SECOND)
    spread = hashlib.blake2s(f"{round_number}:{client_id}".encode(), digest_size=2).digest()
    return seconds * (0.75 + 0.5 * int.from_bytes(spread, "big") / 0xFFFF)
