"""Contribute until stopped, at the pace that the server sets."""

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from fedrec_sdk.backoff import Backoff
from fedrec_sdk.errors import Unavailable
from fedrec_sdk.outcomes import Contributed, NothingToTrain, NotSelected, Outcome, TaskEnded, TooLate, WaitingForOthers

log = logging.getLogger(__name__)


def run_until(
    contribute: Callable[[], Outcome],
    *,
    until: Callable[[Outcome], bool],
    stop: threading.Event,
    backoff: Backoff,
) -> Outcome | None:
    """Contribute again and again.

    Args:
        contribute: One contribution.
        until: Told every outcome; ends the run by returning True.
        stop: Ends the run as soon as it is set, waits included; a contribution at work is finished.
        backoff: Waits while the service is unavailable, and jitter while there is no work.

    Returns:
        The outcome that ended it, `TaskEnded` in any case; None when it was stopped.

    Raises:
        Rejected: by the server, or by this device.
    """
    failures = refusals = 0
    while not stop.is_set():
        try:
            outcome = contribute()
        except Unavailable as refusal:
            failures += 1
            log.info("unavailable, %d times in a row: %s", failures, refusal)
            stop.wait(backoff.seconds(failures, refusal.retry_after))
            continue
        failures = 0
        if until(outcome) or isinstance(outcome, TaskEnded):
            return outcome
        refusals = refusals + 1 if isinstance(outcome, NotSelected) else 0
        stop.wait(backoff.paced(_asked(outcome), refusals))
    return None


def _asked(outcome: Outcome) -> timedelta:
    match outcome:
        case NotSelected(retry_after) | NothingToTrain(retry_after) | WaitingForOthers(retry_after):
            return retry_after
        case Contributed() | TooLate() | TaskEnded():
            return timedelta(0)  # check in again at once: the server says when there is work
