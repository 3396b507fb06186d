"""Contributing until stopped, at the server's pace."""

import threading
from datetime import timedelta

import pytest

from fedrec_protocol.messages import NotSelectedReason, RoundKind
from fedrec_sdk import Contributed, NotSelected, Outcome, Participant, Rejected, TaskEnded, TooLate, Unavailable
from fedrec_sdk.backoff import Backoff
from fedrec_sdk.pacing import run_until
from fedrec_sdk.testing import FakeAggregator

FULL = NotSelected(timedelta(seconds=8), NotSelectedReason.COHORT_FULL, "")
DONE = Contributed("rep", 1, RoundKind.TRAINING)


class WatchedStop(threading.Event):
    """A stop signal that notes how long somebody would have waited for it."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout or 0.0)
        return self.is_set()


def run_through(script: list[Outcome | Exception]) -> tuple[Outcome | None, list[float]]:
    """What a run makes of these outcomes, and its waits between them."""
    steps = iter([*script, TaskEnded("")])
    stop = WatchedStop()

    def contribute() -> Outcome:
        step = next(steps)
        if isinstance(step, Exception):
            raise step
        return step

    ended = run_until(contribute, until=lambda _: False, stop=stop, backoff=Backoff(base=1.0, cap=60.0))
    return ended, stop.waits


def test_all_rounds_are_contributed_to_until_the_task_ends(aggregator: FakeAggregator, ada: Participant) -> None:
    seen: list[Outcome] = []

    def watch(outcome: Outcome) -> bool:
        seen.append(outcome)
        return False

    ended = ada.run(until=watch, long_poll=timedelta(0))

    assert isinstance(ended, TaskEnded)
    # Three rounds of training, and the last version is measured.
    assert [outcome.kind for outcome in seen if isinstance(outcome, Contributed)] == [*["training"] * 3, "evaluation"]
    assert [version.number for version in aggregator.versions] == [0, 1, 2, 3]


def test_a_run_ends_when_the_app_has_seen_enough(ada: Participant) -> None:
    ended = ada.run(until=lambda outcome: isinstance(outcome, Contributed))
    assert isinstance(ended, Contributed)


def test_stopping_cuts_a_wait_short(aggregator: FakeAggregator, ada: Participant) -> None:
    aggregator.refuse(1000, status=503, retry_after=86_400)
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    assert ada.run(stop=stop) is None


def test_the_server_sets_the_pace_and_repeated_refusals_are_spread() -> None:
    _, waits = run_through([FULL, FULL, FULL])
    assert waits[0] == 8.0
    assert all(8.0 < wait <= 16.0 for wait in waits[1:3])  # a drawn number is zero once in 2**53
    _, again = run_through([FULL, DONE, FULL])
    assert again == [8.0, 0.0, 8.0]  # a contribution ends the row of refusals


def test_after_a_contribution_or_a_missed_round_work_is_asked_for_at_once() -> None:
    assert run_through([DONE, TooLate(1, "round-closed")])[1] == [0.0, 0.0]


def test_what_is_unavailable_is_tried_again_later_and_later() -> None:
    _, waits = run_through([Unavailable("down")] * 10)
    assert len(waits) == 10
    assert all(wait <= min(60.0, 2.0**turn) for turn, wait in enumerate(waits))
    _, asked = run_through([Unavailable("busy", timedelta(minutes=5))])
    assert 300.0 <= asked[0] <= 301.0


def test_a_rejection_ends_the_run(aggregator: FakeAggregator, ada: Participant) -> None:
    aggregator.refuse(status=403, path="/v1/check-ins")
    with pytest.raises(Rejected):
        ada.run()


def test_a_run_survives_a_server_that_is_away_for_a_while(aggregator: FakeAggregator, ada: Participant) -> None:
    aggregator.refuse(12, status=503)
    assert isinstance(ada.run(until=lambda outcome: isinstance(outcome, Contributed)), Contributed)
