"""A task with central differential privacy, through HTTP: what it adds, what it charges, when it stops."""

from __future__ import annotations

from math import erf, exp, sqrt
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq
from sqlalchemy import update

from services.aggregator.pipeline.close import close_if_due
from services.aggregator.pipeline.finish_round import finish_round
from services.aggregator.storage.tables import privacy_ledgers
from tests.integration.aggregator.deployment import Task, report_of
from tests.integration.aggregator.test_task_life import run_round
from tests.integration.aggregator.world import World

DELTA = 1e-5
COORDINATES = 20_000
SPREAD = 0.03
"""The deviation of a sample of 20,000 is known to half a per cent; this is six times that."""


def private(world: World, *, multiplier: float = 1.0, budget: float = 50.0, **changes: Any) -> Task:
    policy = {"noise_multiplier": multiplier, "budget_epsilon": budget, "target_delta": DELTA}
    manifest = {
        "shared": [{"name": "items", "shape": [COORDINATES]}],
        "rounds": {"aggregation_goal": 2, "minimum_reports": 2},
        "report": {"weighting": "uniform", "maximum_norm": 2.0},
        "privacy": policy | changes.pop("privacy", {}),
    }
    return world.task(**manifest | changes)


def gaussian_epsilon(multiplier: float, rounds: int) -> float:
    """Balle and Wang 2018, theorem 8, for `rounds` Gaussian releases: an independent formula."""
    z = multiplier / sqrt(rounds)

    def normal(x: float) -> float:
        return (1 + erf(x / sqrt(2))) / 2

    def excess(epsilon: float) -> float:
        tail = normal(1 / (2 * z) - epsilon * z) - exp(epsilon) * normal(-1 / (2 * z) - epsilon * z)
        return tail - DELTA

    return float(brentq(excess, 0, 100))


def zeros() -> list[Any]:
    return [report_of(np.zeros(COORDINATES)) for _ in range(2)]


def test_noise_on_the_published_mean_has_deviation_z_times_c_over_goal(world: World) -> None:
    task = private(world, multiplier=1.5)
    run_round(task, zeros())
    noise = task.weights()["items"]
    assert noise.std() == pytest.approx(1.5 * 2.0 / 2, rel=SPREAD)
    assert abs(noise.mean()) < 6 * 1.5 / sqrt(COORDINATES)


def test_the_first_rounds_may_have_noise_of_their_own(world: World) -> None:
    task = private(world, multiplier=1.0, privacy={"noise_schedule": [3.0]})
    base = task.weights()["items"]
    spreads = []
    for _ in range(2):
        run_round(task, zeros())
        newest = task.weights()["items"]
        spreads.append((newest - base).std())
        base = newest
    assert spreads == pytest.approx([3.0, 1.0], rel=SPREAD)
    # Gaussian releases compose to one with 1 / z^2 = 1 / 9 + 1.
    assert task.get("/privacy")["spent_epsilon"] == pytest.approx(gaussian_epsilon(sqrt(0.9), 1), rel=0.01)


def test_the_ledger_is_charged_for_every_release_at_the_gaussian_price(world: World) -> None:
    task = private(world)
    assert task.get("/privacy")["spent_epsilon"] == 0
    for rounds in (1, 2, 3):
        run_round(task, zeros())
        spent = task.get("/privacy")
        assert spent["charges"] == rounds
        assert spent["spent_epsilon"] == pytest.approx(gaussian_epsilon(1.0, rounds), rel=0.01)


def test_a_round_that_would_overspend_is_not_opened(world: World) -> None:
    task = private(world, budget=gaussian_epsilon(1.0, 2) * 1.02)
    run_round(task, zeros())
    run_round(task, zeros())
    after = task.get()
    assert after["state"] == "completed"
    assert "privacy budget" in after["state_reason"]
    assert after["rounds_published"] == 2


def test_an_abandoned_round_releases_nothing_and_costs_nothing(world: World) -> None:
    task = private(world)
    device = task.device()
    device.report(device.assigned()["assignment_id"], zeros()[0])
    world.advance(10_000)
    world.work()
    assert task.get("/rounds")[-1]["state"] == "abandoned"
    assert task.get("/privacy")["charges"] == 0


def test_a_version_carries_its_privacy_statement_and_not_who_took_part(world: World) -> None:
    task = private(world)
    run_round(task, zeros())
    lineage = task.version()["lineage"]
    assert lineage["report_count"] is None
    assert lineage["privacy"]["epsilon"] == pytest.approx(gaussian_epsilon(1.0, 1), rel=0.01)
    assert lineage["privacy"]["unit"] == "user"
    assert "at most exp(" in lineage["privacy"]["in_words"]


def test_metrics_of_a_private_task_are_noised_and_charged(world: World) -> None:
    report = {"weighting": "uniform", "maximum_norm": 2.0, "maximum_evaluations": 1}
    noise = {"metrics_noise_multiplier": 1.0}
    task = private(world, metrics=["hr@10"], report=report, privacy=noise)
    run_round(task, [report_of(np.zeros(COORDINATES), metrics=[1, 1]) for _ in range(2)])
    published = [round_ for round_ in task.get("/rounds") if round_["state"] == "published"]
    assert published[0]["metrics"] != {"hr@10": 1.0}
    # Two releases of multiplier 1 from one cohort cost as much as two rounds.
    assert task.get("/privacy")["spent_epsilon"] == pytest.approx(gaussian_epsilon(1.0, 2), rel=0.01)


def test_more_evaluations_than_the_noise_is_scaled_to_are_refused(world: World) -> None:
    report = {"weighting": "uniform", "maximum_norm": 2.0, "maximum_evaluations": 1}
    task = private(world, metrics=["hr@10"], report=report, privacy={"metrics_noise_multiplier": 1.0})
    device = task.device()
    assignment_id = device.assigned()["assignment_id"]
    for metrics in ([2.0, 1.0], [1.0, 1.5], [1.0, -0.5]):
        answer = device.report(assignment_id, report_of(np.zeros(COORDINATES), metrics=metrics))
        assert (answer.status_code, answer.json()["slug"]) == (422, "metrics-out-of-range")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"report": {"weighting": "examples"}}, "uniform"),
        ({"metrics": ["hr@10"]}, "metrics_noise_multiplier"),
        ({"privacy": {"budget_epsilon": 0.1}}, "no room for one round"),
    ],
)
def test_a_promise_that_cannot_be_kept_is_refused_at_creation(
    world: World, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(AssertionError, match=reason):
        private(world, **changes)


def test_a_private_model_is_trained_by_one_task_only(world: World) -> None:
    model = private(world).get()["manifest"]["model"]
    with pytest.raises(AssertionError, match="another private task"):
        private(world, model=model)
    with pytest.raises(AssertionError, match="is private"):
        world.task(model=model)


def test_a_private_task_does_not_start_from_what_was_trained_without_privacy(world: World) -> None:
    shared = [{"name": "items", "shape": [COORDINATES]}]
    trained = world.task(shared=shared, rounds={"aggregation_goal": 1})
    first = trained.version()
    assert private(world, model=first["model"], base_version=first["version_id"]).get()["state"] == "active"
    other = world.task(shared=shared, rounds={"aggregation_goal": 1})
    run_round(other, zeros()[:1])
    second = other.version()
    with pytest.raises(AssertionError, match="trained without privacy"):
        private(world, model=second["model"], base_version=second["version_id"])


def test_a_task_without_privacy_says_so(world: World) -> None:
    answer = world.operator("GET", f"/v1/tasks/{world.task().id}/privacy")
    assert (answer.status_code, answer.json()["slug"]) == (404, "no-privacy")


def test_a_ledger_that_is_found_restored_when_its_round_is_stored_is_not_charged(world: World) -> None:
    """A standby took over after the worker had looked for what is due."""
    task = private(world)
    round_id = task.round["round_id"]
    for device, body in zip(task.devices(2), zeros(), strict=True):
        assert device.report(device.assigned()["assignment_id"], body).status_code == 201
    assert close_if_due(world.context, round_id) is not None
    elsewhere = update(privacy_ledgers).where(privacy_ledgers.c.task_id == task.id).values(incarnation="elsewhere")
    world.context.db.run("restore", lambda tx: tx.execute(elsewhere))
    finish_round(world.context, round_id, world.lease(round_id, seconds=0))
    assert (task.get()["state"], task.round["state"]) == ("failed", "aggregating")
    assert task.get("/privacy")["spent_epsilon"] == 0
