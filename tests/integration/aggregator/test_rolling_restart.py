"""Every process is replaced while devices report: nobody's acknowledgement is lost, and who is served is answered."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from fedrec.local.stack import local_stack
from fedrec_protocol import codec
from fedrec_protocol.digest import content_digest
from tests.integration.aggregator.crowd import CROWD, crowd_reports
from tests.integration.aggregator.deployment import Device
from tests.integration.aggregator.fleet import Fleet, until
from tests.integration.aggregator.powers import counted, power_of_two, powers_task


@pytest.fixture(scope="module")
def deployment() -> Iterator[Fleet]:
    with local_stack(aggregators=2, workers=2, fsync=False) as stack:
        deployment = Fleet(stack)
        yield deployment
        deployment.close()


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

    @contextlib.contextmanager
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
        assert answer.status_code in {200, 503}, answer.text
        if answer.status_code == 503 or answer.json()["outcome"] == "not-selected":
            return
        assignment = answer.json()["assignment"]
        assert number not in self.acknowledged[assignment["round_id"]], "a receipt was forgotten"
        answer = device.report(assignment["assignment_id"], power_of_two(number), url=url)
        assert answer.status_code in {200, 201, 503}, answer.text
        if answer.status_code != 503:
            self.acknowledged[assignment["round_id"]].add(number)


def test_replacing_every_process_under_load_loses_no_acknowledgement(deployment: Fleet) -> None:
    task = deployment.task(**powers_task(goal=CROWD, deadline_seconds=600))
    devices = task.devices(CROWD)
    load = SteadyLoad(devices)
    with load.running():
        for name in ("aggregator-0", "worker-0", "aggregator-1", "worker-1"):
            deployment.process(name).restart()
    with crowd_reports(task, devices, 1):  # whoever is missing in the open round
        pass
    until(lambda: not task.get("/rounds/current")["reports"])
    rounds = {round_["round_id"]: round_ for round_ in task.get("/rounds") if round_["state"] == "published"}
    assert len(rounds) > 1
    assert set(load.acknowledged) <= set(rounds)
    for round_ in rounds.values():
        assert counted(task, round_["published_version_id"]) == set(range(CROWD))


def test_a_report_that_is_on_its_way_when_its_process_is_stopped_is_counted(deployment: Fleet) -> None:
    task = deployment.task(**powers_task(goal=1, deadline_seconds=600))
    device, process = task.device(), deployment.process("aggregator-1")
    body = codec.encode(power_of_two(5))
    with half_sent(device, str(process.url), device.assigned()["assignment_id"], body) as connection:
        process.ask_to_stop()
        until(lambda: stops_listening(str(process.url)))
        connection.sendall(body[len(body) // 2 :])
        assert connection.recv(12) == b"HTTP/1.1 201"
    process.restart()
    until(lambda: task.get()["rounds_published"] == 1)
    assert counted(task) == {5}


def test_whoever_waits_for_work_is_answered_when_the_process_is_stopped(deployment: Fleet) -> None:
    task = deployment.task(**powers_task(goal=1, deadline_seconds=600))
    working, waiting = task.devices(2)
    working.assigned()
    process, answers = deployment.process("aggregator-1"), list[httpx.Response]()

    def wait() -> None:
        headers = {"Prefer": "wait=55"}
        answers.append(waiting.send("POST", "/v1/check-ins", url=str(process.url), json={}, headers=headers))

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(1)
    process.restart()
    thread.join()
    assert [(answer.status_code, answer.json()["reason"]) for answer in answers] == [(200, "cohort-full")]


@contextlib.contextmanager
def half_sent(device: Device, url: str, assignment_id: str, body: bytes) -> Iterator[socket.socket]:
    """A connection over which the first half of a report was sent."""
    place = urlsplit(url)
    fields = {
        "Host": place.netloc,
        "Authorization": f"Bearer {device.token}",
        "Content-Type": codec.MEDIA_TYPE,
        "Content-Length": str(len(body)),
        "Content-Digest": content_digest(body),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
        connection.sendall(f"POST /v1/assignments/{assignment_id}/report HTTP/1.1\r\n{head}\r\n".encode())
        connection.sendall(body[: len(body) // 2])
        time.sleep(0.5)  # the process has begun to read it
        yield connection


def stops_listening(url: str) -> bool:
    """Whether nobody takes new connections there."""
    place = urlsplit(url)
    try:
        socket.create_connection((place.hostname, place.port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False
