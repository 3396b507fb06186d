"""A task whose clipping norm follows its participants' updates, through HTTP."""

from __future__ import annotations

from math import exp, log, sqrt
from typing import Any

import numpy as np
import pytest

from tests.integration.aggregator.deployment import Body, Task, report_of
from tests.integration.aggregator.test_private_task import gaussian_epsilon
from tests.integration.aggregator.test_task_life import run_round
from tests.integration.aggregator.world import World

QUIET = 1e-3
"""Noise on the count of clipped reports, in participants: so little that the norm moves as the formula says."""


def adaptive(world: World, *, count_noise: float = QUIET, **changes: Any) -> Task:
    clipping = {"initial_norm": 1.0, "count_noise": count_noise}
    manifest = {
        "shared": [{"name": "items", "shape": [1000]}],
        "rounds": {"aggregation_goal": 4, "minimum_reports": 4, "over_selection_factor": 2.0},
        "report": {"weighting": "uniform", "maximum_norm": 8.0},
        "privacy": {"noise_multiplier": 1.0, "budget_epsilon": 1e9, "target_delta": 1e-5, "clipping": clipping},
    }
    return world.task(**manifest | changes)


def clipped(bit: int, length: float = 0.0) -> Body:
    values = np.zeros(1000)
    values[0] = length
    return report_of(values) | {"fedrec.clipped": np.array([bit], np.int8)}


def test_the_norm_moves_by_the_share_of_clipped_reports_and_assignments_carry_it(world: World) -> None:
    task = adaptive(world)
    assert task.device().assigned()["clipping_norm"] == 1.0
    run_round(task, [clipped(1), clipped(1), clipped(1), clipped(0)])
    # Andrew et al. 2021, algorithm 1: C * exp(-0.2 * (1/4 - 1/2)), then * exp(-0.2 * (1 - 1/2)).
    assert log(task.device().assigned()["clipping_norm"]) == pytest.approx(0.05, abs=0.001)
    run_round(task, [clipped(0)] * 4)
    assert log(task.device().assigned()["clipping_norm"]) == pytest.approx(0.05 - 0.1, abs=0.001)


def test_an_abandoned_round_leaves_the_norm_where_it_was(world: World) -> None:
    task = adaptive(world)
    run_round(task, [clipped(1)] * 4)
    norm = task.device().assigned()["clipping_norm"]
    assert norm == pytest.approx(exp(0.1), rel=0.001)
    world.advance(10_000)
    world.work()
    world.advance(10_000)
    world.work()
    assert task.device().assigned()["clipping_norm"] == norm


def test_noise_and_bound_are_the_rounds_own(world: World) -> None:
    task = adaptive(world)
    before = task.weights()["items"]
    run_round(task, [clipped(0)] * 4)
    first = task.weights()["items"] - before
    assert first.std() == pytest.approx(1.0 / 4, rel=0.15)  # z C / goal; 1,000 samples, seven deviations
    device = task.device()
    norm = device.assigned()["clipping_norm"]
    answer = device.report(device.assigned()["assignment_id"], clipped(0, norm * 1.01))
    assert (answer.status_code, answer.json()["slug"]) == (422, "norm-exceeded")
    assert device.report(device.assigned()["assignment_id"], clipped(1, norm * 0.999)).status_code == 201


@pytest.mark.parametrize("bit", [-1, 2, 127])
def test_a_bit_that_would_count_for_more_than_one_is_refused(world: World, bit: int) -> None:
    device = adaptive(world).device()
    answer = device.report(device.assigned()["assignment_id"], clipped(bit))
    assert (answer.status_code, answer.json()["slug"]) == (422, "metrics-out-of-range")


def test_the_count_is_noised_and_charged_beside_the_model(world: World) -> None:
    task = adaptive(world, count_noise=2.0)
    run_round(task, [clipped(0), clipped(1)] * 2)
    spent = task.get("/privacy")
    assert spent["spent_epsilon"] == pytest.approx(gaussian_epsilon(1 / sqrt(1 + 1 / 4), 1), rel=0.01)
    assert "followed noisy counts" in spent["in_words"]
    # Half of them were clipped, as many as should be: without noise the norm would stay.
    assert task.device().assigned()["clipping_norm"] != pytest.approx(1.0, abs=1e-6)


def test_a_norm_above_the_largest_is_refused_at_creation(world: World) -> None:
    with pytest.raises(AssertionError, match="initial_norm is larger"):
        adaptive(world, report={"weighting": "uniform", "maximum_norm": 0.5})
