"""A task whose noise is correlated over its rounds, through HTTP, and what the service remembers for it."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from services.aggregator.domain.layout import Layout
from services.aggregator.domain.rounds import Round
from services.aggregator.domain.tasks import Task as StoredTask
from services.aggregator.pipeline.close import close_if_due
from services.aggregator.pipeline.noise import releasable
from services.aggregator.storage import rounds, tasks
from tests.integration.aggregator.deployment import Task, report_of
from tests.integration.aggregator.test_private_task import gaussian_epsilon
from tests.integration.aggregator.test_task_life import run_round
from tests.integration.aggregator.world import World

COORDINATES, GOAL, MULTIPLIER, NORM = 20_000, 2, 1.5, 2.0
COLUMN = (1.0, 0.5, 0.375)
"""The first three coefficients of (1 - x)^(-1/2): the square root of the running sum."""
FRESH = MULTIPLIER * NORM / GOAL
"""Deviation of one round's fresh noise on the mean."""
SPREAD, CORRELATED = 0.035, 0.05
"""Seven deviations of the deviation, and of the correlation, of 20,000 samples: the noise is another in every run."""


def correlated(world: World, **changes: Any) -> Task:
    manifest = {
        "shared": [{"name": "items", "shape": [COORDINATES]}],
        "rounds": {"aggregation_goal": GOAL, "minimum_reports": GOAL, "minimum_separation": 3},
        "report": {"weighting": "uniform", "maximum_norm": NORM},
        "stop": {"round_budget": 10},
        "privacy": {
            "noise_multiplier": MULTIPLIER,
            "budget_epsilon": 50.0,
            "target_delta": 1e-5,
            "correlated": {"bands": 3},
        },
    }
    return world.task(**manifest | changes)


def noise_of_round(task: Task) -> np.ndarray:
    """What a round of zeros moves the model by."""
    before = task.weights()["items"].astype(np.float64)
    run_round(task, [report_of(np.zeros(COORDINATES)) for _ in range(GOAL)])
    return np.asarray(task.weights()["items"] - before)


def stored(world: World, task: Task) -> tuple[StoredTask, Round]:
    current = world.context.db.run("current", lambda tx: rounds.current(tx, task.id))
    assert current is not None
    return world.context.db.run("task", lambda tx: tasks.get(tx, task.id)), current


def test_the_strategy_matrix_turns_the_released_noise_into_independent_noise(world: World) -> None:
    task = correlated(world)
    released = [noise_of_round(task) for _ in range(4)]
    fresh = [sum(COLUMN[back] * released[number - back] for back in range(min(number, 2) + 1)) for number in range(4)]
    for row in fresh:
        assert np.std(row) == pytest.approx(FRESH, rel=SPREAD)
    together = np.corrcoef(np.array(fresh))
    assert np.abs(together - np.eye(4)).max() < CORRELATED
    # The released noise itself takes back half of the round before: -0.5 / sqrt(1 * 1.25).
    assert np.corrcoef(released[0], released[1])[0, 1] == pytest.approx(-0.447, abs=CORRELATED)


def test_a_round_that_is_aggregated_again_has_the_same_noise(world: World) -> None:
    task = correlated(world)
    noise_of_round(task)
    manifest_task, round_ = stored(world, task)
    zeros = np.zeros(Layout.of(manifest_task.manifest, round_.kind).size, np.int64)
    first = releasable(world.context, manifest_task, round_, zeros)
    again = releasable(world.context, manifest_task, round_, zeros)
    np.testing.assert_array_equal(first.vector, again.vector)
    # A worker that died after drawing it released nothing: the next one publishes that very noise, charged once.
    published = noise_of_round(task)
    scale = float(2**manifest_task.manifest.fraction_bits) * GOAL
    np.testing.assert_allclose(published, first.vector[:COORDINATES] / scale, atol=1e-5)
    assert task.get("/privacy")["charges"] == 2


def test_an_abandoned_round_has_a_row_of_its_own(world: World) -> None:
    task = correlated(world)
    first = noise_of_round(task)
    world.advance(10_000)  # round 2 is abandoned
    world.work()
    world.advance(10_000)
    world.work()
    third = noise_of_round(task)
    # Row 3 of C^-1 is (-0.125, -0.5, 1): of round 1 it takes back an eighth only, and the unseen round's half.
    assert np.std(third) == pytest.approx(FRESH * sqrt(1 + 0.5**2 + 0.125**2), rel=SPREAD)
    assert np.corrcoef(first, third)[0, 1] == pytest.approx(-0.125 / sqrt(1 + 0.25 + 0.125**2), abs=CORRELATED)


def test_the_price_is_one_gaussian_by_the_columns_of_the_users_rounds(world: World) -> None:
    task = correlated(world)
    column = sqrt(sum(c**2 for c in COLUMN))
    for rounds_so_far, participations in ((1, 1), (2, 1), (3, 1), (4, 2)):
        noise_of_round(task)
        spent = task.get("/privacy")["spent_epsilon"]
        assert spent == pytest.approx(gaussian_epsilon(MULTIPLIER / column, participations), rel=0.01), rounds_so_far


def kept(task: Task) -> tuple[int, bool]:
    """Noise vectors that are stored for a task's model, and whether there is a key to them."""
    vectors = "SELECT count(*) FROM aggregator.noise_vectors WHERE lineage = :model"
    key = "SELECT noise_key IS NOT NULL FROM aggregator.privacy_ledgers WHERE lineage = :model"
    assert isinstance(task.world, World)
    with task.world.context.db.engine.connect() as connection:
        model = {"model": task.get()["manifest"]["model"]}
        return connection.execute(text(vectors), model).scalar_one(), connection.execute(text(key), model).scalar_one()


def test_the_memory_is_erased_when_the_task_is_over(world: World) -> None:
    task = correlated(world, stop={"round_budget": 2})
    noise_of_round(task)
    assert kept(task) == (1, True)
    noise_of_round(task)
    assert task.get()["state"] == "completed"
    assert kept(task) == (0, False)


def test_the_memory_is_erased_when_the_task_is_cancelled(world: World) -> None:
    task = correlated(world)
    noise_of_round(task)
    assert task.steer("cancel").is_success
    assert kept(task) == (0, False)


def test_a_task_cancelled_while_it_aggregates_keeps_its_memory_until_that_round_is_published(world: World) -> None:
    task = correlated(world)
    noise_of_round(task)
    for device in task.devices(GOAL):
        assert device.report(device.assigned()["assignment_id"], report_of(np.zeros(COORDINATES))).is_success
    assert close_if_due(world.context, task.round["round_id"]) is not None
    assert task.steer("cancel").is_success
    assert kept(task) == (1, True)
    world.work()
    assert task.get()["rounds_published"] == 2
    assert kept(task) == (0, False)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rounds": {"aggregation_goal": 2, "minimum_separation": 2}}, "minimum_separation"),
        ({"rounds": {"aggregation_goal": 2}}, "minimum_separation"),
    ],
)
def test_a_separation_below_the_bands_is_refused(world: World, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        correlated(world, **changes)
