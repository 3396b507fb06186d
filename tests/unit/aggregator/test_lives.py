"""The lives of rounds and tasks, on plain values."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fedrec_protocol.manifest import Convergence
from fedrec_protocol.messages import ModelReference, NotSelectedReason, RoundKind, RoundState, TaskState
from services.aggregator.domain.eligibility import why_not_eligible
from services.aggregator.domain.errors import InvalidManifest, RoundClosed, TaskNotActive
from services.aggregator.domain.rounds import Round, waiting_for
from services.aggregator.domain.runnable import check_runnable
from services.aggregator.domain.tasks import Next, Task, has_converged, next_step, what_follows
from tests.unit.aggregator.manifests import manifest

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
DEADLINE = NOON + timedelta(minutes=10)
VERSION = ModelReference(model="films", version_id="ver_1", number=0, digest="0" * 64, size_bytes=100, url="http://x")
POLICY = manifest(rounds={"aggregation_goal": 10, "minimum_reports": 3}).rounds


def collecting(number: int = 1) -> Round:
    return Round("rnd_1", "tsk_1", number, RoundKind.TRAINING, RoundState.COLLECTING, VERSION, NOON, DEADLINE)


def state_after(reports: int, now: datetime) -> RoundState | None:
    due = collecting().due(POLICY, reports, now)
    return None if due is None else due.state


def test_the_report_that_meets_the_goal_closes_the_round() -> None:
    assert state_after(9, NOON) is None
    assert state_after(10, NOON) is RoundState.AGGREGATING
    assert state_after(11, DEADLINE) is RoundState.AGGREGATING


def test_at_the_deadline_the_minimum_is_enough() -> None:
    assert state_after(3, DEADLINE - timedelta(microseconds=1)) is None
    assert state_after(3, DEADLINE) is RoundState.AGGREGATING


@pytest.mark.parametrize(
    ("drawn", "state"),
    [(0, RoundState.ABANDONED), (2, RoundState.ABANDONED), (3, RoundState.AGGREGATING), (12, RoundState.AGGREGATING)],
)
def test_a_drawn_round_is_over_when_all_have_reported_and_releases_nothing_below_the_minimum(
    drawn: int, state: RoundState
) -> None:
    due = replace(collecting(), drawn=drawn).due(POLICY, drawn, NOON)
    assert due is not None
    assert due.state is state
    assert due.abandoned_reason in {"", f"{drawn} of 3 reports when all who were drawn had reported"}


def test_below_the_minimum_the_round_is_abandoned_and_says_why() -> None:
    due = collecting().due(POLICY, 2, DEADLINE)
    assert due is not None
    assert (due.state, due.closed_at) == (RoundState.ABANDONED, DEADLINE)
    assert due.abandoned_reason == "2 of 3 reports at the deadline"


def test_a_round_that_is_over_collects_no_more() -> None:
    for over in (collecting().abandoned("too few", NOON), collecting().published()):
        with pytest.raises(RoundClosed):
            over.require_collecting()
        with pytest.raises(RoundClosed):
            over.due(POLICY, 10, NOON)


def test_a_round_says_what_it_waits_for() -> None:
    few, enough = (waiting_for(collecting(), POLICY, reports=reports, assignments=7) for reports in (2, 3))
    assert few == "2 of 10 reported, 5 at work, closes 2026-11-22 12:10:00 UTC, at least 3 by then"
    assert enough == "3 of 10 reported, 4 at work, closes 2026-11-22 12:10:00 UTC"


def test_a_round_that_is_over_says_what_became_of_it() -> None:
    abandoned, published = collecting().abandoned("too few", NOON), collecting().published()
    assert waiting_for(abandoned, POLICY, reports=0, assignments=0) == "it was abandoned: too few"
    assert waiting_for(published, POLICY, reports=7, assignments=7) == "it is published: 7 of 10 reported"


def task(**changes: Any) -> Task:
    return Task("tsk_1", TaskState.ACTIVE, "created by ada", manifest(**changes), 0, VERSION)


@pytest.mark.parametrize(
    ("follows", "opens_at", "words"),
    [
        (task(), None, "a worker opens the next round"),
        (task(), NOON, "a worker opens the next round"),
        (task(), NOON + timedelta(seconds=30), "the next round opens at 12:00:30 UTC"),
        (task().paused("ada"), NOON + timedelta(seconds=30), "an operator has to resume the task: paused by ada"),
        (task().failed("refused"), None, "an operator has to resume the task: refused"),
        (task().completed("converged"), None, "the task is completed: converged"),
    ],
)
def test_a_task_says_what_follows_its_newest_round(follows: Task, opens_at: datetime | None, words: str) -> None:
    assert what_follows(follows, opens_at, NOON) == words


def test_a_task_is_paused_resumed_and_cancelled() -> None:
    paused = task().paused("ada")
    assert (paused.state, paused.state_reason) == (TaskState.PAUSED, "paused by ada")
    assert paused.resumed("bob").state is TaskState.ACTIVE
    cancelled = paused.cancelled("bob")
    assert (cancelled.state, cancelled.state_reason) == (TaskState.COMPLETED, "cancelled by bob")


def test_a_failed_task_is_resumed_or_cancelled() -> None:
    failed = task().failed("the registry refused")
    assert (failed.state, failed.state_reason) == (TaskState.FAILED, "the registry refused")
    assert failed.resumed("ada").state is TaskState.ACTIVE
    assert failed.cancelled("ada").state is TaskState.COMPLETED


def test_what_a_tasks_state_does_not_allow_is_refused() -> None:
    done, failed = task().completed("done"), task().failed("refused")
    for change in (
        task().resumed,
        done.paused,
        done.resumed,
        done.cancelled,
        task().paused("ada").paused,
        failed.paused,
    ):
        with pytest.raises(TaskNotActive):
            change("ada")


def advanced(rounds: int, **changes: Any) -> Task:
    result = task(**changes)
    for _ in range(rounds):
        result = result.advanced(VERSION)
    return result


def test_a_task_trains_until_its_round_budget_is_used_up() -> None:
    assert next_step(task(), None, []) == Next(RoundKind.TRAINING)
    assert next_step(advanced(2), RoundKind.TRAINING, []) == Next(RoundKind.TRAINING)
    assert next_step(advanced(3), RoundKind.TRAINING, []) == Next(None, "the round budget of 3 is used up")


def test_a_task_with_metrics_measures_its_last_version() -> None:
    measured = advanced(3, metrics=["hr@10"])
    assert next_step(measured, RoundKind.TRAINING, []) == Next(RoundKind.EVALUATION)
    assert next_step(measured, RoundKind.EVALUATION, []).kind is None
    unmeasured = advanced(3, metrics=["hr@10"], evaluate_final=False)
    assert next_step(unmeasured, RoundKind.TRAINING, []).kind is None


STOP = {"round_budget": 100, "convergence": {"metric": "hr@10", "patience": 2}}


def test_a_task_stops_when_its_metric_has_converged() -> None:
    running = advanced(5, metrics=["hr@10"], stop=STOP)
    assert next_step(running, RoundKind.TRAINING, [0.1, 0.2, 0.2]) == Next(RoundKind.TRAINING)
    assert next_step(running, RoundKind.TRAINING, [0.1, 0.2, 0.2, 0.19]) == Next(RoundKind.EVALUATION)
    over = next_step(running, RoundKind.EVALUATION, [0.1, 0.2, 0.2, 0.19, 0.2])
    assert over == Next(None, "hr@10 has not improved for 2 rounds")


@pytest.mark.parametrize(
    ("history", "converged"),
    [
        ([], False),
        ([0.5], False),
        ([0.0, 0.0], False),
        ([0.0, 0.0, 0.0], True),
        ([0.1, 0.2, 0.3, 0.4], False),
        ([0.4, 0.3, 0.2], True),
        ([0.4, 0.3, 0.5, 0.4], False),
        ([0.400, 0.405, 0.409], True),  # each better by less than a hundredth
        ([0.400, 0.409, 0.411], False),  # together better by more
        ([-1.0, -0.5, -0.7], False),
    ],
)
def test_convergence_is_patience_measurements_without_a_real_improvement(history: list[float], converged: bool) -> None:
    rule = Convergence(metric="hr@10", patience=2, minimum_improvement=0.01)
    assert has_converged(history, rule) is converged


def test_a_participant_may_take_part_as_often_as_the_task_allows() -> None:
    policy = manifest(rounds={"aggregation_goal": 2, "maximum_participations": 3}).rounds
    assert why_not_eligible(policy, collecting(9), reports=2, last_round=8) is None
    assert why_not_eligible(policy, collecting(9), reports=3, last_round=1) is NotSelectedReason.PARTICIPATION_CAP


def test_a_participant_pauses_as_long_as_the_task_asks() -> None:
    policy = manifest(rounds={"aggregation_goal": 2, "minimum_separation": 3}).rounds
    assert why_not_eligible(policy, collecting(9), reports=1, last_round=7) is NotSelectedReason.TOO_SOON
    assert why_not_eligible(policy, collecting(9), reports=1, last_round=6) is None


CANNOT_RUN: dict[str, dict[str, Any]] = {
    "shared bfloat16": {"shared": [{"name": "items", "shape": [2], "dtype": "BF16"}]},
    "statistics that no rule here turns into parameters": {
        "report": {"content": "statistics", "tensors": [{"name": "gram", "shape": [4, 4]}]}
    },
    "a configuration that the registry would not keep": {"recipe": {"name": "mf", "config": {"x": "y" * 70_000}}},
}


@pytest.mark.parametrize("changes", CANNOT_RUN.values(), ids=CANNOT_RUN.keys())
def test_a_manifest_that_would_fail_in_every_worker_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidManifest):
        check_runnable(manifest(**changes))


def test_bfloat16_reports_of_float32_tensors_are_welcome() -> None:
    check_runnable(manifest(report={"tensors": [{"name": "items", "shape": [2, 2], "dtype": "BF16"}]}))
