"""When a participant that got no work should ask again."""

import hashlib

from fedrec_protocol.messages import NotSelectedReason

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
}


def retry_after_seconds(reason: NotSelectedReason, client_id: str, *, crowd: int = 1, rate: float = 200.0) -> float:
    """How long to wait: the reason's base time, longer in a crowd, spread by client so that nobody returns together.

    Args:
        reason: Why there was no work.
        client_id: Spreads the answers over plus or minus a quarter.
        crowd: Participants asking at the moment.
        rate: Check-ins per second that are welcome.
    """
    seconds = max(_SECONDS[reason], crowd / rate)
    spread = hashlib.blake2s(client_id.encode(), digest_size=2).digest()
    return seconds * (0.75 + 0.5 * int.from_bytes(spread, "big") / 0xFFFF)
