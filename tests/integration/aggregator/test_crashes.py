"""Real processes killed at the worst moments: what was acknowledged is in the published sum, once."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest

from fedrec.local.stack import local_stack
from tests.integration.aggregator.crowd import CROWD, assert_all_counted_once, crowd_reports
from tests.integration.aggregator.fleet import Fleet, until
from tests.integration.aggregator.powers import powers_task


@pytest.fixture(scope="module")
def deployment() -> Iterator[Fleet]:
    with local_stack(aggregators=2, workers=1, environment={"FEDREC_AGGREGATOR_LOG_LEVEL": "error"}) as stack:
        deployment = Fleet(stack)
        yield deployment
        deployment.close()


def test_the_api_killed_under_load_loses_no_acknowledged_report(deployment: Fleet) -> None:
    task = deployment.task(**powers_task(goal=CROWD, deadline_seconds=600))
    devices, rng = task.devices(CROWD), random.Random(1)
    for number in (1, 2):
        with crowd_reports(task, devices, number):
            for name in ("aggregator-0", "aggregator-1"):
                time.sleep(rng.uniform(0.0, 0.15))
                deployment.process(name).kill()
                deployment.process(name).start()
            deployment.process("aggregator-0").wait_until_ready()
            deployment.process("aggregator-1").wait_until_ready()
        assert_all_counted_once(task, number)


def test_the_worker_killed_at_any_moment_publishes_once(deployment: Fleet) -> None:
    task = deployment.task(**powers_task(goal=CROWD, deadline_seconds=600))
    devices, rng, worker = task.devices(CROWD), random.Random(2), deployment.process("worker-0")
    for number in (1, 2, 3):
        with crowd_reports(task, devices, number):
            pass
        time.sleep(rng.uniform(0.0, 0.05))
        worker.kill()
        deployment.let_leases_expire()
        worker.start()
        assert_all_counted_once(task, number)
    assert task.version()["number"] == 3


def test_the_worker_killed_between_the_sum_and_the_registry_publishes_what_it_had_stored(deployment: Fleet) -> None:
    task = deployment.task(**powers_task(goal=CROWD, deadline_seconds=600))
    devices, registry, worker = task.devices(CROWD), deployment.process("registry"), deployment.process("worker-0")
    registry.suspend()
    try:
        with crowd_reports(task, devices, 1):
            pass
        stored = f"SELECT count(*) FROM aggregator.rounds WHERE task_id = '{task.id}' AND result_object IS NOT NULL"
        until(lambda: deployment.value(stored) == 1)
        worker.kill()
    finally:
        registry.resume()
    deployment.let_leases_expire()
    worker.start()
    assert_all_counted_once(task, 1)


def test_a_worker_that_slept_through_its_lease_changes_nothing(deployment: Fleet) -> None:
    task = deployment.task(**powers_task(goal=CROWD, deadline_seconds=600))
    devices, registry, sleeper = task.devices(CROWD), deployment.process("registry"), deployment.process("worker-0")
    registry.suspend()
    try:
        with crowd_reports(task, devices, 1):
            pass
        until(lambda: deployment.value("SELECT count(*) FROM aggregator.leases WHERE expires_at > now()"))
        sleeper.suspend()
        deployment.let_leases_expire()
    finally:
        registry.resume()
    [other] = deployment.stack.add(workers=1)
    try:
        assert_all_counted_once(task, 1)
    finally:
        sleeper.resume()
        with crowd_reports(task, devices, 2):
            deployment.stack.remove(other.name)
    assert_all_counted_once(task, 2)
    assert task.version()["number"] == 2


def test_a_registry_that_is_killed_and_comes_back_gets_the_version(deployment: Fleet) -> None:
    task = deployment.task(**powers_task(goal=CROWD, deadline_seconds=600))
    devices, registry = task.devices(CROWD), deployment.process("registry")
    registry.kill()
    try:
        with crowd_reports(task, devices, 1):
            pass
        until(lambda: task.round["state"] == "aggregating")
    finally:
        registry.start()
        registry.wait_until_ready()
    assert_all_counted_once(task, 1)


def test_postgres_killed_under_load_loses_no_acknowledged_report(deployment: Fleet) -> None:
    task = deployment.task(**powers_task(goal=CROWD, deadline_seconds=600))
    devices, rng = task.devices(CROWD), random.Random(3)
    for number in (1, 2):
        with crowd_reports(task, devices, number):
            time.sleep(rng.uniform(0.0, 0.1))
            deployment.postgres.kill()
            deployment.postgres.start()
        assert_all_counted_once(task, number)
