"""What a contribution does, against an aggregator that runs real rounds over real HTTP."""

import math
import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from fedrec_protocol import codec
from fedrec_protocol.manifest import RoundPolicy, StopCriteria
from fedrec_protocol.messages import NotSelectedReason, RoundKind
from fedrec_recipes.recipe import LocalResult
from fedrec_sdk import Contributed, NothingToTrain, NotSelected, Participant, TaskEnded, TooLate
from fedrec_sdk.testing import FakeAggregator
from tests.unit.sdk.conftest import Join, StartTask
from tests.unit.sdk.popularity import ITEMS, Popularity


def test_a_contribution_is_counted_and_becomes_the_next_version(aggregator: FakeAggregator, ada: Participant) -> None:
    outcome = ada.contribute()

    assert outcome == Contributed("rep_asg_1_cli_0", round_number=1, kind=RoundKind.TRAINING)
    # Items 0, 1, 2 were trained on; item 3 was held out, and item 1 counts once. Every share is 1/3.
    share = pytest.approx(1 / 3)
    assert aggregator.versions[1].tensors["share"].tolist() == [share, share, share, 0.0, 0.0, 0.0]
    assert aggregator.rounds[0].reports[0].examples == 3


def test_reports_are_averaged_by_their_number_of_examples(start_task: StartTask, join: Join) -> None:
    aggregator = start_task(rounds=RoundPolicy(aggregation_goal=2))
    join(aggregator, "ada", (0, 2, 3, 5)).contribute()
    join(aggregator, "bob", (1, 5)).contribute()

    # (3 examples x shares 1/3 of items 0, 2, 3 + 1 example x share 1 of item 1) / 4
    assert aggregator.versions[1].tensors["share"] == pytest.approx([0.25, 0.25, 0.25, 0.25, 0.0, 0.0])


def test_the_claim_of_examples_is_capped_as_the_manifest_says(start_task: StartTask, join: Join) -> None:
    aggregator = start_task(report={"maximum_examples": 2, "maximum_norm": 10.0})
    assert isinstance(join(aggregator, "ada", (0, 1, 2, 3, 1)).contribute(), Contributed)
    assert aggregator.rounds[0].reports[0].examples == 2


def test_the_held_out_item_is_ranked_by_the_base_version_among_all_unseen_items(
    start_task: StartTask, join: Join
) -> None:
    aggregator = start_task({"share": np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5])})
    join(aggregator, "ada", (5, 3)).contribute()

    # Item 5 is seen, so 4 comes first and 3 second: DCG of rank 2.
    assert aggregator.versions[0].metrics == {"hr@2": 1.0, "ndcg@2": pytest.approx(1 / math.log2(3))}


def test_a_model_that_says_nothing_scores_nothing(aggregator: FakeAggregator, ada: Participant) -> None:
    ada.contribute()  # all scores are 0: ties are pessimistic
    assert aggregator.versions[0].metrics == {"hr@2": 0.0, "ndcg@2": 0.0}


def test_who_has_nothing_held_out_reports_no_evaluations(aggregator: FakeAggregator, join: Join) -> None:
    join(aggregator, "ada", (0, 1), holdout=0).contribute()
    report = aggregator.rounds[0].reports[0]
    assert (report.examples, report.evaluations, report.sums) == (2, 0, {"hr@2": 0.0, "ndcg@2": 0.0})


def test_an_evaluation_round_reports_metrics_only(start_task: StartTask, join: Join) -> None:
    aggregator = start_task(stop=StopCriteria(round_budget=1))
    ada = join(aggregator, "ada", (0, 1, 2))
    ada.contribute()

    assert ada.contribute() == Contributed("rep_asg_2_cli_0", round_number=2, kind=RoundKind.EVALUATION)
    report = aggregator.rounds[1].reports[0]
    assert (report.values, report.examples, report.evaluations) == ({}, 0, 1)
    assert len(aggregator.versions) == 2
    assert isinstance(ada.contribute(), TaskEnded)


def test_without_examples_no_work_is_asked_for(aggregator: FakeAggregator, join: Join) -> None:
    newcomer = join(aggregator, "newcomer", (3,))  # held out: nothing is left to train on

    assert isinstance(newcomer.contribute(), NothingToTrain)
    assert "/v1/check-ins" not in [request.path for request in aggregator.requests]


def test_items_that_the_model_does_not_have_are_left_out(aggregator: FakeAggregator, join: Join) -> None:
    join(aggregator, "ada", (0, ITEMS, 1, 99, 2)).contribute()
    assert aggregator.versions[1].tensors["share"].tolist() == [0.5, 0.5, 0.0, 0.0, 0.0, 0.0]


def test_a_full_cohort_says_why_and_when_to_come_back(aggregator: FakeAggregator, join: Join) -> None:
    outcomes: list[object] = []
    bob = join(aggregator, "bob", (1, 2, 3))
    join(aggregator, "ada", (0, 1, 2), recipe=_with(lambda: outcomes.append(bob.contribute()))).contribute()

    match outcomes:
        case [NotSelected(retry_after, reason)]:
            assert (retry_after, reason) == (timedelta(seconds=0.05), NotSelectedReason.COHORT_FULL)
        case _:
            pytest.fail(f"{outcomes}")


def test_a_held_check_in_returns_as_soon_as_there_is_work(start_task: StartTask, join: Join) -> None:
    aggregator = start_task(rounds=RoundPolicy(aggregation_goal=2, minimum_reports=1))
    ada = join(aggregator, "ada", (0, 1, 2))
    ada.contribute()
    threading.Timer(0.2, aggregator.close_round).start()

    outcome = ada.contribute(wait=timedelta(seconds=30))

    assert isinstance(outcome, Contributed)
    assert outcome.round_number == 2
    check_ins = [request for request in aggregator.requests if request.path == "/v1/check-ins"]
    assert [request.headers.get("prefer") for request in check_ins] == [None, "wait=30"]


def test_a_round_that_closes_during_training_is_an_outcome(aggregator: FakeAggregator, join: Join) -> None:
    ada = join(aggregator, "ada", (0, 1, 2), recipe=_with(aggregator.close_round))
    assert ada.contribute() == TooLate(round_number=1, reason="round-closed")


def test_an_assignment_that_expires_during_training_is_an_outcome(aggregator: FakeAggregator, join: Join) -> None:
    ada = join(aggregator, "ada", (0, 1, 2), recipe=_with(aggregator.expire_assignments))
    assert ada.contribute() == TooLate(round_number=1, reason="assignment-expired")


def test_a_round_that_was_missed_leaves_no_trace_in_private_tensors(aggregator: FakeAggregator, join: Join) -> None:
    join(aggregator, "ada", (0, 1, 2), recipe=_with(aggregator.close_round)).contribute()
    ada = join(aggregator, "ada", ())
    assert ada.parameters().keys() == {"share"}

    ada.contribute()
    assert ada.parameters()["own_trainings"].tolist() == [1]


def test_private_tensors_stay_on_the_device_and_come_back_in_the_next_round(
    aggregator: FakeAggregator, ada: Participant
) -> None:
    ada.contribute()
    ada.contribute()

    assert ada.parameters()["own_trainings"].tolist() == [2]
    secret = ada.parameters()["own_noise"].tobytes()
    sent = [request for request in aggregator.requests if request.path.endswith("/report")]
    assert len(sent) == 2
    for request in sent:
        assert set(codec.tensor_names(request.body)) == {"share", "fedrec.examples", "fedrec.metrics"}
        assert secret not in request.body


class SilentOnNoise(Popularity):
    """Says nothing of one of its private tensors."""

    def train(self, *arguments: Any) -> LocalResult:
        result = super().train(*arguments)
        return replace(result, private={"own_trainings": result.private["own_trainings"]})


def test_private_tensors_that_a_training_says_nothing_of_stay(aggregator: FakeAggregator, join: Join) -> None:
    ada = join(aggregator, "ada", (0, 1, 2))
    ada.contribute()
    noise = ada.parameters()["own_noise"].tolist()
    ada = join(aggregator, "ada", recipe=SilentOnNoise.of(ITEMS))
    ada.contribute()
    assert ada.parameters()["own_trainings"].tolist() == [2]
    assert ada.parameters()["own_noise"].tolist() == noise


def test_the_same_seed_and_history_give_the_same_report_bit_for_bit(start_task: StartTask, join: Join) -> None:
    bodies = []
    for device in ("phone", "tablet"):
        aggregator = start_task()
        ada = join(aggregator, device, (0, 1, 2, 3))
        ada.contribute()
        bodies.append([request.body for request in aggregator.requests if request.path.endswith("/report")])
        bodies[-1].append(ada.parameters()["own_noise"].tobytes())
    assert bodies[0] == bodies[1]


def test_a_participant_may_decline_a_kind_of_round(aggregator: FakeAggregator, join: Join) -> None:
    observer = join(aggregator, "observer", (0, 1, 2), kinds=(RoundKind.EVALUATION,))
    outcome = observer.contribute()
    assert isinstance(outcome, NotSelected)
    assert outcome.reason is NotSelectedReason.NO_OPEN_ROUND


def _with(meanwhile: object) -> Popularity:
    recipe = Popularity.of(ITEMS)
    recipe.meanwhile = meanwhile  # type: ignore[assignment]  # a callable, here one that a test watches
    return recipe
