"""Every process is replaced while devices report: nobody's acknowledgement is lost, and who is served is answered."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from fedrec.local.stack import local_stack
from fedrec_protocol import codec
from fedrec_protocol.digest import content_digest
from tests.integration.aggregator.crowd import CROWD, SteadyLoad, assert_nothing_lost
from tests.integration.aggregator.deployment import Device
from tests.integration.aggregator.fleet import Fleet, until
from tests.integration.aggregator.powers import counted, power_of_two, powers_task


@pytest.fixture(scope="module")
def deployment() -> Iterator[Fleet]:
    with local_stack(aggregators=2, workers=2, fsync=False) as stack:
        deployment = Fleet(stack)
        yield deployment
        deployment.close()


def test_replacing_every_process_under_load_loses_no_acknowledgement(deployment: Fleet) -> None:
    task = deployment.task(**powers_task(goal=CROWD, deadline_seconds=600))
    devices = task.devices(CROWD)
    load = SteadyLoad(devices)
    with load.running():
        for name in ("aggregator-0", "worker-0", "aggregator-1", "worker-1"):
            deployment.process(name).restart()
    assert_nothing_lost(task, devices, load)


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

    thread, looked = threading.Thread(target=wait), transactions(deployment, str(process.url), "assign")
    thread.start()
    until(lambda: transactions(deployment, str(process.url), "assign") > looked)
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
        "Expect": "100-continue",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    with socket.create_connection((place.hostname, place.port), timeout=60) as connection:
        connection.sendall(f"POST /v1/assignments/{assignment_id}/report HTTP/1.1\r\n{head}\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 100")  # the process has begun to read the body
        connection.sendall(body[: len(body) // 2])
        yield connection


def transactions(deployment: Fleet, url: str, name: str) -> float:
    """How many transactions of a name a process has run."""
    metrics = deployment.operator("GET", f"{url}/metrics").text
    return sum(
        float(line.split()[-1])
        for line in metrics.splitlines()
        if line.startswith(f'fedrec_transaction_seconds_count{{name="{name}"}}')
    )


def stops_listening(url: str) -> bool:
    """Whether nobody takes new connections there."""
    place = urlsplit(url)
    try:
        socket.create_connection((place.hostname, place.port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False
