"""Adaptive clipping under masks: the bit that says who was clipped is in the masked vector, and nowhere else."""

from __future__ import annotations

from math import exp, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import text

from fedrec_sdk import Participant
from tests.integration.aggregator.cohort import SIZE, Cohort, KnownUpdate, secure_task, update_of
from tests.integration.aggregator.deployment import Task
from tests.integration.aggregator.test_private_task import gaussian_epsilon
from tests.integration.aggregator.world import World

PEOPLE = 8
SHORT = {6, 7}
"""Whose updates are half as long as the first norm; all others' are twice as long."""
QUIET = 1e-3
"""Noise multiplier, and noise on the count in participants: so little that what is published shows the formulas."""


def learnt(number: int) -> NDArray[np.float32]:
    return update_of(number) * np.float32(0.5 if number in SHORT else 2.0)


class Learners(Cohort):
    def participant(self, number: int) -> Participant:
        trainer = KnownUpdate(learnt(number))
        url = self.task.world.aggregator_urls[0]
        return Participant(url, self.task.enrolment_key, self.folder / f"{number}", trainer, seed=1)


def adaptive(world: World, *, noise: float = QUIET, count_noise: float = QUIET, **changes: Any) -> Task:
    clipping = {"initial_norm": 1.0, "count_noise": count_noise}
    privacy = {"noise_multiplier": noise, "budget_epsilon": 1e9, "target_delta": 1e-5, "clipping": clipping}
    # So little noise has enough steps only on a finer grid than usual.
    return secure_task(
        world, PEOPLE, **{"privacy": privacy, "secure": {"modulus_bits": 48, "value_bits": 36}, **changes}
    )


def norms(task: Task, world: World) -> list[float]:
    """The clipping norm of every round."""
    query = text("SELECT clipping_norm FROM aggregator.rounds WHERE task_id = :id ORDER BY number")
    with world.context.db.engine.connect() as connection:
        rows = connection.execute(query, {"id": task.id})
        return [float(row[0]) for row in rows]


def clipped_sum(numbers: set[int], norm: float) -> NDArray[np.float64]:
    total = np.zeros(SIZE)
    for number in numbers:
        update = learnt(number).astype(np.float64)
        total += update * min(1.0, norm / float(np.linalg.norm(update)))
    return total


def test_masked_bits_move_the_norm_and_masked_updates_keep_to_it(world: World, tmp_path: Path) -> None:
    cohort = Learners(adaptive(world), tmp_path, PEOPLE)
    everybody, before = set(range(PEOPLE)), cohort.task.weights()["items"]
    cohort.wait(phases=4)
    cohort.finish()
    after = cohort.task.weights()["items"]
    # Noise of a thousandth on each of twelve coordinates of the sum.
    np.testing.assert_allclose((after - before) * PEOPLE, clipped_sum(everybody, 1.0), atol=6 * QUIET)
    # Six of eight were clipped. Andrew et al. 2021: C * exp(-0.2 * (2/8 - 1/2)).
    cohort.wait(phases=4)
    cohort.finish()
    cohort.close()
    second = exp(0.05)
    assert norms(cohort.task, world)[:2] == pytest.approx([1.0, second], rel=1e-3)
    moved = (cohort.task.weights()["items"] - after) * PEOPLE
    np.testing.assert_allclose(moved, clipped_sum(everybody, second), atol=7 * QUIET * second)


def test_only_the_bits_of_survivors_count(world: World, tmp_path: Path) -> None:
    cohort, gone = Learners(adaptive(world), tmp_path, PEOPLE), {0, 7}
    before = cohort.task.weights()["items"]
    cohort.wait(phases=2)
    cohort.wait(phases=1, without=gone)
    world.advance(61)
    world.work()
    cohort.wait(phases=1, without=gone)
    cohort.finish(without=gone)
    after = cohort.task.weights()["items"]
    np.testing.assert_allclose((after - before) * PEOPLE, clipped_sum(set(range(PEOPLE)) - gone, 1.0), atol=6 * QUIET)
    cohort.step()
    cohort.close()
    # Five of the six survivors were clipped; the denominator is the goal, whoever took part.
    assert norms(cohort.task, world)[1] == pytest.approx(exp(-0.2 * (1 - 5 / 8 - 0.5)), rel=1e-3)


def test_the_count_under_masks_is_noised_and_charged_beside_the_model(world: World, tmp_path: Path) -> None:
    cohort = Learners(adaptive(world, noise=1.0, count_noise=2.0), tmp_path, PEOPLE)
    cohort.wait(phases=4)
    cohort.finish()
    spent = cohort.task.get("/privacy")
    assert spent["spent_epsilon"] == pytest.approx(gaussian_epsilon(1 / sqrt(1 + 1 / 4), 1), rel=0.01)
    cohort.wait(phases=1)
    cohort.close()
    assert norms(cohort.task, world)[1] != pytest.approx(exp(0.05), abs=1e-6)


def test_noise_that_participants_add_has_none_for_the_bit_so_the_two_are_refused(world: World) -> None:
    privacy = {"mechanism": "distributed", "noise_multiplier": 1.0, "colluding_share": 0.2}
    clipping = {"initial_norm": 1.0, "count_noise": 2.0}
    budget = {"budget_epsilon": 50.0, "target_delta": 1e-5}
    with pytest.raises(AssertionError, match="clipping"):
        secure_task(world, PEOPLE, privacy=privacy | budget | {"clipping": clipping})
