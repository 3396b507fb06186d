"""Several processes add up one round."""

from __future__ import annotations

import random

import numpy as np
from sqlalchemy import text

from tests.integration.aggregator.deployment import Body, Task, report_of
from tests.integration.aggregator.world import World

PEOPLE = 12


def reports() -> list[Body]:
    """Real-valued reports: as floats, their sum would depend on the order."""
    rng = np.random.default_rng(4)
    scales = 10.0 ** rng.integers(-4, 2, size=PEOPLE)
    return [report_of(scale * rng.standard_normal((2, 2)), examples=int(rng.integers(1, 50))) for scale in scales]


def reported(world: World, urls: list[str], *, seed: int) -> tuple[Task, int]:
    """A round whose reports came to these processes, in an order drawn with the seed; the number of partial sums."""
    task = world.task(rounds={"aggregation_goal": PEOPLE}, stop={"round_budget": 1})
    people = list(enumerate(zip(task.devices(PEOPLE), reports(), strict=True)))
    random.Random(seed).shuffle(people)
    for number, (device, body) in people:
        answer = device.report(device.assigned()["assignment_id"], body, url=urls[number % len(urls)])
        assert answer.status_code == 201, answer.text
    count = text("SELECT count(*) FROM aggregator.partial_sums WHERE round_id = :round")
    with world.context.db.engine.connect() as connection:
        sums = connection.execute(count, {"round": task.round["round_id"]}).scalar_one()
    world.work()
    return task, sums


def test_the_partial_sums_of_three_processes_come_to_the_same_bits_as_those_of_one(world: World) -> None:
    one, single_sum = reported(world, world.aggregator_urls[:1], seed=1)
    three, sums = reported(world, world.aggregator_urls, seed=2)
    assert (single_sum, sums) == (1, 3)
    assert three.version()["digest"] == one.version()["digest"]
    assert three.version()["version_id"] != one.version()["version_id"]


def test_as_floats_these_reports_would_not_come_to_the_same_bits() -> None:
    values = [body["items"].astype(np.float32) * body["fedrec.examples"][0] for body in reports()]
    forwards = np.add.reduce(values, dtype=np.float32)
    thirds = [np.add.reduce(values[start::3], dtype=np.float32) for start in range(3)]
    assert (np.add.reduce(thirds) != forwards).any()
