"""Noise that participants add: inside the mask, or enough of it for themselves. Real participants, real HTTP."""

from __future__ import annotations

from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fedrec_sdk import Participant
from tests.integration.aggregator.cohort import Cohort, KnownUpdate
from tests.integration.aggregator.deployment import Task, report_of
from tests.integration.aggregator.test_private_task import gaussian_epsilon
from tests.integration.aggregator.world import World

COORDINATES, NORM, MULTIPLIER, PEOPLE = 8000, 4.0, 2.0, 6
MASKS = {"modulus_bits": 32, "value_bits": 20, "minimum_cohort": 5}
INSIDE_THE_MASK = {"mechanism": "distributed", "noise_multiplier": MULTIPLIER, "colluding_share": 0.2}
BY_ITSELF = {"mechanism": "local", "noise_multiplier": MULTIPLIER}
SPREAD = 0.05
"""The deviation of a sample of 8,000 is known to 0.8 per cent; this is six times that, and a part is more."""
BUDGET = {"budget_epsilon": 50.0, "target_delta": 1e-5}


class Zeros(Cohort):
    """Participants who have learnt nothing, so that what is published is noise."""

    def participant(self, number: int) -> Participant:
        trainer = KnownUpdate(np.zeros(COORDINATES, np.float32), examples=7)
        url = self.task.world.aggregator_urls[0]
        return Participant(url, self.task.enrolment_key, self.folder / f"{number}", trainer, seed=1)


def task_with(world: World, privacy: dict[str, Any], **changes: Any) -> Task:
    manifest = {
        "shared": [{"name": "items", "shape": [COORDINATES], "dtype": "F64"}],
        "report": {"weighting": "uniform", "maximum_norm": NORM},
        "rounds": {"aggregation_goal": PEOPLE, "minimum_reports": 4, "deadline_seconds": 600},
        "privacy": privacy | BUDGET,
    }
    return world.task(**manifest | changes)


def masked(world: World, **changes: Any) -> Task:
    return task_with(world, INSIDE_THE_MASK, **{"secure_aggregation": MASKS, **changes})


def test_a_masked_sum_has_the_noise_of_all_its_survivors(world: World, tmp_path: Path) -> None:
    task = masked(world)
    cohort = Zeros(task, tmp_path, PEOPLE)
    cohort.wait(phases=4)
    cohort.finish()
    cohort.close()
    # Five is the floor and one of them may collude: a part is a quarter of the variance, and six parts are there.
    expected = MULTIPLIER * NORM * sqrt(6 / 4) / PEOPLE
    assert task.weights()["items"].std() == pytest.approx(expected, rel=SPREAD)


def test_the_ledger_counts_the_noise_that_must_be_there_and_no_more(world: World, tmp_path: Path) -> None:
    task = masked(world)
    cohort = Zeros(task, tmp_path, PEOPLE)
    cohort.wait(phases=4)
    cohort.finish()
    cohort.close()
    spent = task.get("/privacy")
    # Skellam of that variance costs a little more than the Gaussian, by Renyi divergence; six survivors buy nothing.
    gaussian = gaussian_epsilon(MULTIPLIER, 1)
    assert gaussian < spent["spent_epsilon"] < 1.2 * gaussian
    assert "The participants add the noise" in spent["in_words"]
    assert "20%" in spent["in_words"]


def test_a_local_report_has_noise_for_twice_the_norm_and_the_sum_that_of_all(world: World, tmp_path: Path) -> None:
    task = task_with(world, BY_ITSELF)
    cohort = Zeros(task, tmp_path, PEOPLE)
    cohort.finish()
    cohort.close()
    assert task.weights()["items"].std() == pytest.approx(2 * MULTIPLIER * NORM * sqrt(PEOPLE) / PEOPLE, rel=SPREAD)
    spent = task.get("/privacy")
    assert spent["spent_epsilon"] == pytest.approx(gaussian_epsilon(MULTIPLIER, 1), rel=0.01)
    assert "before it leaves the device" in spent["in_words"]


def test_local_reports_of_an_abandoned_round_have_been_seen_and_are_charged(world: World) -> None:
    task = task_with(world, BY_ITSELF)
    device = task.device()
    body = report_of(np.zeros(COORDINATES)) | {"items": np.zeros(COORDINATES)}
    assert device.report(device.assigned()["assignment_id"], body).status_code == 201
    world.advance(10_000)
    world.work()
    assert task.get("/rounds")[-1]["state"] == "abandoned"
    assert task.get("/privacy")["charges"] == 1


def test_an_abandoned_round_that_nobody_reported_in_costs_nothing(world: World) -> None:
    task = task_with(world, BY_ITSELF)
    task.device().assigned()
    world.advance(10_000)
    world.work()
    assert task.get("/rounds")[-1]["state"] == "abandoned"
    assert task.get("/privacy")["charges"] == 0


@pytest.mark.parametrize(
    ("privacy", "changes", "reason"),
    [
        (INSIDE_THE_MASK, {}, "without masks"),
        (INSIDE_THE_MASK, {"secure_aggregation": MASKS, "metrics": ["hr@10"]}, "no noise"),
        (INSIDE_THE_MASK, {"secure_aggregation": MASKS | {"modulus_bits": 16, "value_bits": 8}}, "50 grid steps|value"),
        (INSIDE_THE_MASK, {"secure_aggregation": MASKS | {"value_bits": 28}}, "2.16 grid steps"),
        (BY_ITSELF, {"secure_aggregation": MASKS}, "no masks"),
        (BY_ITSELF, {"metrics": ["hr@10"]}, "no noise"),
        (BY_ITSELF, {"report": {"weighting": "uniform", "maximum_norm": NORM, "content": "parameters"}}, "delta"),
    ],
)
def test_settings_that_would_break_the_promise_are_refused(
    world: World, privacy: dict[str, Any], changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(AssertionError, match=reason):
        task_with(world, privacy, **changes)
