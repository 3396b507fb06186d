"""Crashes and lost answers: an acknowledged report is counted once, a lost one is sent again as it was."""

import json
from typing import Any

import pytest

from fedrec_protocol.messages import RoundKind
from fedrec_sdk import Contributed, Participant, Rejected, TooLate, Unavailable
from fedrec_sdk.store.outbox import Outbox, PendingReport
from fedrec_sdk.store.secure_rounds import PendingSecureRound
from fedrec_sdk.testing import FakeAggregator
from tests.unit.sdk.conftest import Join


class PowerCut(BaseException):
    """The process is gone."""


def reports_sent(aggregator: FakeAggregator) -> list[bytes]:
    return [request.body for request in aggregator.requests if request.path.endswith("/report")]


def test_a_lost_answer_is_asked_for_again_with_the_same_bytes(aggregator: FakeAggregator, ada: Participant) -> None:
    aggregator.drop_responses(path="/report")

    assert isinstance(ada.contribute(), Contributed)

    first, second = reports_sent(aggregator)
    assert first == second
    assert len(aggregator.rounds[0].reports) == 1


def test_a_new_process_sends_the_very_bytes_whose_answer_was_lost(aggregator: FakeAggregator, join: Join) -> None:
    ada = join(aggregator, "ada", (0, 1, 2, 3))
    aggregator.drop_responses(10, path="/report")
    with pytest.raises(Unavailable):
        ada.contribute()
    aggregator.heal()

    # The history has grown and the seed is another one: a report made anew would not be the same.
    restarted = join(aggregator, "ada", (4, 4, 4), seed=8)
    outcome = restarted.contribute()

    assert outcome == Contributed("rep_asg_1_cli_0", round_number=1, kind=RoundKind.TRAINING)
    assert len(set(reports_sent(aggregator))) == 1
    assert len(aggregator.rounds[0].reports) == 1


def test_private_tensors_change_when_the_report_is_known_to_be_counted(
    aggregator: FakeAggregator, ada: Participant, join: Join
) -> None:
    ada.contribute()
    aggregator.drop_requests(10, path="/report")
    with pytest.raises(Unavailable):
        ada.contribute()
    assert ada.parameters()["own_trainings"].tolist() == [1]

    aggregator.heal()
    restarted = join(aggregator, "ada")
    restarted.contribute()
    assert restarted.parameters()["own_trainings"].tolist() == [2]


@pytest.mark.parametrize("moment", ["put", "acknowledge"])
def test_a_crash_around_sending_counts_the_report_once_and_keeps_the_private_tensors(
    aggregator: FakeAggregator, join: Join, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    ada = join(aggregator, "ada", (0, 1, 2, 3))

    def crash(*_: Any, **__: Any) -> None:
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(Outbox, moment, crash)
        with pytest.raises(PowerCut):
            ada.contribute()

    restarted = join(aggregator, "ada")
    outcome = restarted.contribute()

    assert isinstance(outcome, Contributed)
    assert outcome.round_number == 1
    assert [len(round_.reports) for round_ in aggregator.rounds[:1]] == [1]
    assert len(set(reports_sent(aggregator))) == 1
    assert restarted.parameters()["own_trainings"].tolist() == [1]


def test_a_report_that_waited_too_long_is_dropped_and_the_next_round_is_a_new_start(
    aggregator: FakeAggregator, join: Join
) -> None:
    ada = join(aggregator, "ada", (0, 1, 2, 3))
    aggregator.drop_requests(10, path="/report")
    with pytest.raises(Unavailable):
        ada.contribute()
    aggregator.heal()
    aggregator.close_round()

    restarted = join(aggregator, "ada")
    assert restarted.contribute() == TooLate(round_number=1, reason="round-closed")
    outcome = restarted.contribute()
    assert isinstance(outcome, Contributed)
    assert outcome.round_number == 2


def test_a_server_that_forgot_the_assignment_makes_it_too_late(aggregator: FakeAggregator, join: Join) -> None:
    ada = join(aggregator, "ada", (0, 1, 2, 3))
    aggregator.drop_requests(10, path="/report")
    with pytest.raises(Unavailable):
        ada.contribute()
    aggregator.heal()
    aggregator.rounds[0].clients.clear()
    assert ada.contribute() == TooLate(round_number=1, reason="unknown-assignment")


def test_a_report_that_the_server_refuses_is_not_sent_for_ever(aggregator: FakeAggregator, ada: Participant) -> None:
    aggregator.refuse(status=422, path="/report")
    with pytest.raises(Rejected):
        ada.contribute()
    assert isinstance(ada.contribute(), Contributed)


def test_a_refused_credential_does_not_cost_the_report(aggregator: FakeAggregator, ada: Participant) -> None:
    aggregator.refuse(status=403, path="/report")
    with pytest.raises(Rejected):
        ada.contribute()
    check_ins = [request for request in aggregator.requests if request.path == "/v1/check-ins"]
    assert isinstance(ada.contribute(), Contributed)
    assert [request for request in aggregator.requests if request.path == "/v1/check-ins"] == check_ins


def test_training_again_after_a_crash_gives_the_report_that_was_lost(
    aggregator: FakeAggregator, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = join(aggregator, "ada", (0, 1, 2, 3))
    lost: list[bytes] = []

    def crash(self: Outbox, report: Any, **_: Any) -> None:
        lost.append(report.body)
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "put", crash)
        with pytest.raises(PowerCut):
            ada.contribute()
    join(aggregator, "ada").contribute()
    assert reports_sent(aggregator) == lost


def test_a_task_in_the_store_that_this_release_cannot_read_is_fetched_again(
    aggregator: FakeAggregator, join: Join
) -> None:
    ada = join(aggregator, "ada", (0, 1, 2, 3))
    ada.contribute()
    kept = json.loads(ada.store.values.get("task") or b"")
    # An app that goes back to its release before finds what its newer release was told.
    kept["manifest"]["of_tomorrow"] = True
    ada.store.values.put("task", json.dumps(kept).encode())
    assert isinstance(join(aggregator, "ada").contribute(), Contributed)


def test_a_report_for_a_task_that_the_app_has_left_is_forgotten(aggregator: FakeAggregator, ada: Participant) -> None:
    left = PendingReport("task_left", "asg_left", "ver_left", 1, RoundKind.TRAINING, body=b"report", private=b"")
    ada.store.outbox.put(left)
    assert isinstance(ada.contribute(), Contributed)
    assert b"report" not in reports_sent(aggregator)


def test_a_secure_round_of_a_task_that_the_app_has_left_is_forgotten(ada: Participant) -> None:
    about = ("task_left", "asg_left", "ver_left", "0" * 64, 1, RoundKind.TRAINING)
    ada.store.secure_rounds.begin(PendingSecureRound(*about, vector=b"", private=b""))
    assert isinstance(ada.contribute(), Contributed)
    assert ada.store.secure_rounds.pending() is None


def test_a_task_in_the_store_that_is_another_one_is_fetched_again(aggregator: FakeAggregator, ada: Participant) -> None:
    ada.contribute()
    kept = json.loads(ada.store.values.get("task") or b"")
    ada.store.values.put("task", json.dumps(kept | {"task_id": "task_left"}).encode())
    ada.contribute()
    assert json.loads(ada.store.values.get("task") or b"") == kept


def test_a_manifest_that_changes_while_an_assignment_is_on_its_way_is_asked_for_again(ada: Participant) -> None:
    ada.contribute()
    with pytest.raises(Unavailable, match="check in again"):
        ada._task.with_manifest("0" * 64)
