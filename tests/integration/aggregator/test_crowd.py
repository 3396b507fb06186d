"""Many participants at once: the small version of `python -m benchmarks --only crowd`."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from benchmarks.harness.crowd import Crowd
from fedrec_protocol import codec
from tests.integration.aggregator.deployment import report_of
from tests.integration.aggregator.world import World

PARTICIPANTS, IN_ROUND = 200, 25


def test_two_hundred_long_polls_at_once_are_all_answered_and_every_report_is_counted(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": IN_ROUND})
    tokens = [device.token for device in task.devices(PARTICIPANTS)]
    crowd = Crowd(world.aggregator_urls[0], tokens, codec.encode(report_of([[1, 2], [3, 4]])), wait_seconds=2)
    with ThreadPoolExecutor(1) as pool:
        going_on = pool.submit(asyncio.run, crowd.go_on_for(4.0, in_flight=PARTICIPANTS))
        while not going_on.done():
            world.work()
        seen = going_on.result()
    assert not seen.errors
    assert min(seen.answered) >= 1
    assert seen.answers["assigned"] == seen.answers["report counted"] == sum(seen.reported)
    world.work(2)
    rounds = task.get("/rounds")
    assert sum(round_["reports"] for round_ in rounds) == sum(seen.reported)
    closed = [round_["reports"] for round_ in rounds if round_["state"] == "published"]
    assert closed == [IN_ROUND] * len(closed)
    assert closed
