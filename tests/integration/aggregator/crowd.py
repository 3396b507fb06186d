"""Devices that report to real processes until they have a receipt.

Every participant sends its own power of two and tries again until it has a receipt, as a device would. A round
closes when all have one, so a report that was lost would leave it open, and one counted twice would show.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.integration.aggregator.deployment import Device, Task
from tests.integration.aggregator.fleet import PATIENCE_SECONDS, until
from tests.integration.aggregator.powers import counted, power_of_two

CROWD = 10


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


class SteadyLoad:
    """Devices that report in round after round, to whichever process answers.

    Attributes:
        acknowledged: who got a receipt, by round.
        failures: what must not happen, such as being asked again for what was acknowledged.
    """

    def __init__(self, devices: list[Device]) -> None:
        self.acknowledged: dict[str, set[int]] = defaultdict(set)
        self.failures: list[BaseException] = []
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._take_part, args=pair) for pair in enumerate(devices)]

    @contextmanager
    def running(self) -> Iterator[None]:
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            for thread in self._threads:
                thread.join()
        assert self.failures == []

    def _take_part(self, number: int, device: Device) -> None:
        rng = random.Random(number)
        try:
            while not self._stopping.is_set():
                with contextlib.suppress(httpx.TransportError):  # this process is being replaced
                    self._report_once(number, device, rng.choice(device.world.aggregator_urls))
                time.sleep(rng.uniform(0, 0.05))
        except BaseException as error:
            self.failures.append(error)

    def _report_once(self, number: int, device: Device, url: str) -> None:
        answer = device.send("POST", "/v1/check-ins", url=url, json={})
        assert answer.status_code in {200, 429, 503}, answer.text
        if answer.status_code != 200 or answer.json()["outcome"] == "not-selected":
            return
        assignment = answer.json()["assignment"]
        assert number not in self.acknowledged[assignment["round_id"]], "a receipt was forgotten"
        answer = device.report(assignment["assignment_id"], power_of_two(number), url=url)
        assert answer.status_code in {200, 201, 429, 503}, answer.text
        if answer.is_success:
            self.acknowledged[assignment["round_id"]].add(number)


def assert_nothing_lost(task: Task, devices: list[Device], load: SteadyLoad) -> None:
    """Every receipt of the load is in a published sum, once."""
    with crowd_reports(task, devices, 1):  # whoever is missing in the open round
        pass
    # The next round may have begun meanwhile, with those who came after the open one was full.
    until(lambda: set(load.acknowledged) <= set(_published(task)))
    rounds = _published(task)
    assert len(rounds) > 1
    for round_ in rounds.values():
        assert counted(task, round_["published_version_id"]) == set(range(CROWD))


def _published(task: Task) -> dict[str, Any]:
    return {round_["round_id"]: round_ for round_ in task.get("/rounds") if round_["state"] == "published"}
