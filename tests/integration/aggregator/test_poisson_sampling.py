"""A task whose cohorts the server draws with coins, through HTTP."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.integration.aggregator.deployment import Device, Task, report_of
from tests.integration.aggregator.world import World

PROBABILITY, PEOPLE, MULTIPLIER, DELTA = 0.5, 12, 1.0, 1e-5


def sampled(world: World, **changes: Any) -> Task:
    manifest = {
        "shared": [{"name": "items", "shape": [100]}],
        "rounds": {"aggregation_goal": 6, "minimum_reports": 1, "deadline_seconds": 60.0},
        "report": {"weighting": "uniform", "maximum_norm": 1.0},
        "stop": {"round_budget": 30},
        "privacy": {
            "noise_multiplier": MULTIPLIER,
            "budget_epsilon": 50.0,
            "target_delta": DELTA,
            "sampling": {"probability": PROBABILITY},
        },
    }
    return world.task(**manifest | changes)


def open_round(world: World) -> None:
    """Past the pause after which the worker looks again for enrolments."""
    world.advance(6)
    world.work(2)


def drawn(devices: list[Device]) -> dict[str, str]:
    """Assignment ids by client id, of those who were drawn; the others are told so."""
    answers = {device.client_id: device.check_in() for device in devices}
    assigned = {
        client: answer["assignment"]["assignment_id"]
        for client, answer in answers.items()
        if answer["outcome"] == "assigned"
    }
    refused = {answer["reason"] for answer in answers.values() if answer["outcome"] == "not-selected"}
    # A round of nobody, once in 4,096 of twelve people, may be over by now.
    assert refused <= ({"not-drawn"} if assigned else {"not-drawn", "no-open-round"})
    return assigned


def report_all(world: World, devices: list[Device], assignments: dict[str, str]) -> None:
    for device in devices:
        if device.client_id in assignments:
            body = report_of(np.zeros(100))
            assert device.report(assignments[device.client_id], body).status_code == 201
    world.work(3)


def binomial_gaussian_epsilon(multiplier: float, probability: float) -> float:
    """Epsilon of one Poisson-sampled Gaussian by numerical integration, both directions; slow and independent.

    The pair is q N(1, z^2) + (1 - q) N(0, z^2) against N(0, z^2): delta(epsilon) integrates max(p - e^epsilon r, 0).
    """
    grid = np.linspace(-40, 40, 800_001)
    step = grid[1] - grid[0]

    def normal(mean: float) -> np.ndarray:
        return np.asarray(np.exp(-((grid - mean) ** 2) / (2 * multiplier**2)) / (multiplier * np.sqrt(2 * np.pi)))

    without, with_user = normal(0.0), probability * normal(1.0) + (1 - probability) * normal(0.0)

    def delta(epsilon: float) -> float:
        pairs = ((with_user, without), (without, with_user))
        return max(float(np.maximum(p - np.exp(epsilon) * r, 0).sum() * step) for p, r in pairs)

    low, high = 0.0, 50.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if delta(middle) > DELTA else (low, middle)
    return high


def test_no_round_opens_before_enough_are_enrolled(world: World) -> None:
    task = sampled(world)
    assert task.get("/rounds") == []
    task.devices(2)  # of two, one is drawn on average
    open_round(world)
    assert len(task.get("/rounds")) == 1


def test_coins_decide_who_is_asked_in_every_round_anew(world: World) -> None:
    task = sampled(world)
    devices = task.devices(PEOPLE)
    cohorts = []
    for _ in range(4):
        open_round(world)
        cohort = drawn(devices)
        assert drawn(devices) == cohort  # asking again changes nothing
        cohorts.append(frozenset(cohort))
        report_all(world, devices, cohort)
        world.advance(100)  # a round of nobody ends at its deadline, or at once
        world.work(3)
    assert len(set(cohorts)) > 1  # the same four times: 2^-36
    # 48 coins of 1/2: outside 7 to 41 with probability below 1e-6.
    assert 7 <= sum(len(cohort) for cohort in cohorts) <= 41


def test_the_round_waits_for_all_who_were_drawn_and_for_nobody_else(world: World) -> None:
    task = sampled(world, rounds={"aggregation_goal": 2, "minimum_reports": 1, "deadline_seconds": 60.0})
    devices = task.devices(8)
    open_round(world)
    cohort = drawn(devices)
    newcomer = task.device()
    if cohort:  # nobody: once in 256
        assert newcomer.check_in()["reason"] == "not-drawn"
        last = sorted(cohort)[-1]
        report_all(world, devices, {client: id_ for client, id_ in cohort.items() if client != last})
        if len(cohort) > 1:
            assert task.get("/rounds")[0]["state"] == "collecting"  # although the goal of 2 may be met
        report_all(world, devices, {last: cohort[last]})
        assert task.get("/rounds")[-1]["state"] == "published"


def test_the_ledger_claims_the_coin_and_nothing_more(world: World) -> None:
    task = sampled(world)
    devices = task.devices(PEOPLE)
    while task.get("/privacy")["charges"] == 0:
        open_round(world)
        report_all(world, devices, drawn(devices))
        world.advance(100)
        world.work(3)
    spent = task.get("/privacy")
    expected = binomial_gaussian_epsilon(MULTIPLIER, PROBABILITY)
    assert spent["charges"] == 1
    assert spent["spent_epsilon"] == pytest.approx(expected, rel=0.01)
    assert f"coin of probability {PROBABILITY}" in spent["in_words"]


def test_a_crowd_that_no_round_has_room_for_stops_the_task(world: World) -> None:
    # Room for 4: of 12 with coins of 1/2, more than 4 are drawn far too often.
    task = sampled(world, rounds={"aggregation_goal": 1, "minimum_reports": 1})
    task.devices(PEOPLE)
    open_round(world)
    after = task.get()
    assert after["state"] == "failed"
    assert "smaller probability" in after["state_reason"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"rounds": {"aggregation_goal": 6, "maximum_participations": 3}}, "caps out"),
        ({"rounds": {"aggregation_goal": 6, "over_selection_factor": 1.5}}, "nobody replaces"),
        ({"rounds": {"aggregation_goal": 40}, "secure_aggregation": {}}, "rosters"),
    ],
)
def test_nothing_but_coins_may_decide_who_takes_part(world: World, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        sampled(world, **changes)
