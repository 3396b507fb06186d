"""Real processes on a Postgres of their own, and devices that report to them until they have a receipt.

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
from sqlalchemy import Engine, create_engine, text

from fedrec.local.process import ServiceProcess
from fedrec.local.stack import LocalStack
from services.kit.clock import SystemClock
from tests.integration.aggregator.deployment import Deployment, Device, Task
from tests.integration.aggregator.powers import counted, power_of_two

CROWD = 10
PATIENCE_SECONDS = 60.0


class Stack(Deployment):
    """Two API processes, a worker and a registry on a Postgres that survives being killed."""

    def __init__(self, stack: LocalStack) -> None:
        super().__init__(stack.aggregator_urls, stack.registry_url, stack.secrets, SystemClock())
        self.stack = stack
        assert stack.postgres is not None
        self.postgres = stack.postgres
        self.engine: Engine = create_engine(stack.postgres.url, pool_pre_ping=True)

    def close(self) -> None:
        self.http.close()
        self.engine.dispose()

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
