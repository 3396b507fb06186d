"""The deployment key is rotated as docs/operations.md says, one process at a time, while rounds are open."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from services.aggregator.domain import sealing
from services.aggregator.stores import make_context
from services.aggregator.worker import Worker
from tests.integration.aggregator.powers import counted, power_of_two, powers_task
from tests.integration.aggregator.world import World

OPEN_KEYS = "SELECT id, wrapped_key FROM aggregator.rounds WHERE wrapped_key IS NOT NULL"


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    world = World(database_url, aggregators=2)
    yield world
    world.stop()


def configure(world: World, key: bytes, *others: bytes) -> None:
    """What the environment says from now on; a process reads it when it is started again."""
    changed = {"deployment_key": key, "previous_deployment_keys": others}
    world.settings = world.settings.model_copy(update=changed)


def restart_worker(world: World) -> None:
    world.context.registry.close()
    world.context.db.dispose()
    world.context = make_context(world.settings, world.clock)
    world.worker = Worker(world.context, 0.5, "test")


def test_nobody_notices_that_the_deployment_key_is_rotated(world: World) -> None:
    old, new = world.settings.deployment_key, os.urandom(32)
    first, second = world.aggregator_urls
    task = world.task(**powers_task(goal=4, deadline_seconds=600))
    devices = task.devices(4)
    assignments = [device.assigned()["assignment_id"] for device in devices]

    def report(number: int, url: str) -> None:
        answer = devices[number].report(assignments[number], power_of_two(number), url=url)
        assert answer.status_code == 201, answer.text

    report(0, first)
    configure(world, old, new)  # 1. every process accepts the new key
    world.restart_aggregator(0)
    world.restart_aggregator(1)
    restart_worker(world)
    report(1, second)

    configure(world, new, old)  # 2. every process uses the new key
    world.restart_aggregator(0)
    restart_worker(world)
    younger = world.task(**powers_task(goal=1))  # its round's key is wrapped with the new key
    device = younger.device()
    assert device.renew().status_code == 201
    answer = device.report(device.assigned()["assignment_id"], power_of_two(7), url=second)
    assert answer.status_code == 201, answer.text  # by a process that still uses the old one
    report(2, first)  # with a token and in a round of the old one
    world.restart_aggregator(1)
    assert devices[3].renew().status_code == 201
    report(3, second)
    world.work()
    assert counted(task) == {0, 1, 2, 3}
    assert counted(younger) == {7}

    configure(world, new)  # 3. no round is open that was opened before: nobody needs the old one any more
    world.restart_aggregator(0)
    world.restart_aggregator(1)
    restart_worker(world)
    for number, device in enumerate(devices):
        assert device.renew().status_code == 201
        answer = device.report(device.assigned()["assignment_id"], power_of_two(number))
        assert answer.status_code == 201, answer.text
    world.work()
    assert counted(task) == {0, 1, 2, 3}
    assert task.get()["rounds_published"] == 2
    with world.context.db.engine.connect() as connection:
        stored = connection.execute(text(OPEN_KEYS)).all()
    assert stored
    for round_id, wrapped in stored:
        with pytest.raises(sealing.SealBroken):
            sealing.unwrap(wrapped, [old], round_id)


def test_a_token_of_a_key_that_was_taken_out_is_refused(world: World) -> None:
    device = world.task().device()
    configure(world, os.urandom(32))
    world.restart_aggregator(0)
    assert device.send("POST", "/v1/check-ins", json={}).status_code == 401
    assert device.renew().status_code == 201
