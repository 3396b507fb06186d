"""Real processes killed at the worst moments: what was acknowledged is in the published sum, once.

Every participant sends its own power of two and tries again until it has a receipt, as a device would. A round
closes when all have one, so a report that was lost would leave it open, and one counted twice would show.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from sqlalchemy import Engine, create_engine, text

from fedrec.local.process import ServiceProcess
from fedrec.local.stack import LocalStack, local_stack
from services.kit.clock import SystemClock
from tests.integration.aggregator.deployment import Deployment, Device, Task
from tests.integration.aggregator.powers import counted, power_of_two, powers_task

CROWD = 10
PATIENCE_SECONDS = 60.0

Chaos = Callable[[], None]


class Stack(Deployment):
    """Two API processes, a worker and a registry on a Postgres that survives being killed."""

    def __init__(self, stack: LocalStack) -> None:
        super().__init__(stack.aggregator_urls, stack.registry_url, stack.secrets, SystemClock())
        self.stack = stack
        assert stack.postgres is not None
        self.postgres = stack.postgres
        self.engine: Engine = create_engine(stack.postgres.url, pool_pre_ping=True)

    def process(self, name: str) -> ServiceProcess:
        return self.stack.processes[name]

    def work(self) -> None:
        """The worker works by itself: wait until every task has an open round."""
        waiting = "SELECT count(*) FROM aggregator.tasks WHERE current_version IS NULL"
        until(lambda: self.value(waiting) == 0)

    def value(self, query: str) -> object:
        with self.engine.connect() as connection:
            return connection.execute(text(query)).scalar()

    def let_leases_expire(self) -> None:
        """Half a minute passes."""
        with self.engine.begin() as connection:
            connection.execute(text("UPDATE aggregator.leases SET expires_at = now()"))


@pytest.fixture(scope="module")
def deployment() -> Iterator[Stack]:
    with local_stack(aggregators=2, workers=1, environment={"FEDREC_AGGREGATOR_LOG_LEVEL": "error"}) as stack:
        deployment = Stack(stack)
        yield deployment
        deployment.http.close()
        deployment.engine.dispose()


def until(happened: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def report_until_acknowledged(device: Device, exponent: int, rng: random.Random) -> str:
    """What a device does: ask, report, and again until it has a receipt; returns the receipt's id."""
    urls, deadline = device.world.aggregator_urls, time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        url = rng.choice(urls)
        try:
            answer = device.send("POST", "/v1/check-ins", url=url, json={})
            if answer.status_code == 200 and answer.json()["outcome"] == "assigned":
                assignment_id = answer.json()["assignment"]["assignment_id"]
                answer = device.report(assignment_id, power_of_two(exponent), url=url)
                if answer.status_code in {200, 201}:
                    return str(answer.json()["report_id"])
            elif answer.status_code == 200 and answer.json()["reason"] == "already-reported":
                return "counted, and the answer was lost"
            assert answer.status_code in {200, 503}, answer.text
        except httpx.TransportError:
            pass  # the process was killed, or is not there
        time.sleep(rng.uniform(0, 0.1))
    raise AssertionError(f"participant {exponent} was never acknowledged")


@contextmanager
def crowd_reports(task: Task, devices: list[Device], seed: int) -> Iterator[None]:
    """All devices report while the block runs; it ends when all have their receipts."""
    failures: list[BaseException] = []

    def take_part(number: int, device: Device) -> None:
        try:
            report_until_acknowledged(device, number, random.Random(100 * seed + number))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=take_part, args=pair) for pair in enumerate(devices)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join()
    assert failures == []


def assert_all_counted_once(task: Task, published: int) -> None:
    until(lambda: task.get()["rounds_published"] == published)
    assert counted(task) == set(range(CROWD))
    assert task.version()["lineage"]["report_count"] == CROWD


def test_the_api_killed_under_load_loses_no_acknowledged_report(deployment: Stack) -> None:
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


def test_the_worker_killed_at_any_moment_publishes_once(deployment: Stack) -> None:
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


def test_the_worker_killed_between_the_sum_and_the_registry_publishes_what_it_had_stored(deployment: Stack) -> None:
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


def test_a_worker_that_slept_through_its_lease_changes_nothing(deployment: Stack) -> None:
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


def test_a_registry_that_is_killed_and_comes_back_gets_the_version(deployment: Stack) -> None:
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


def test_postgres_killed_under_load_loses_no_acknowledged_report(deployment: Stack) -> None:
    task = deployment.task(**powers_task(goal=CROWD, deadline_seconds=600))
    devices, rng = task.devices(CROWD), random.Random(3)
    for number in (1, 2):
        with crowd_reports(task, devices, number):
            time.sleep(rng.uniform(0.0, 0.1))
            deployment.postgres.kill()
            deployment.postgres.start()
        assert_all_counted_once(task, number)
