"""Everything that can be wrong with a report, through HTTP: its own problem, and nobody else's."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from fedrec_protocol import codec
from fedrec_protocol.digest import content_digest
from services.aggregator.api.body_budget import BodyBudget, Pace
from tests.integration.aggregator.deployment import Device, report_of
from tests.integration.aggregator.world import World

Offence = Callable[[Device, str], httpx.Response]

GOOD = report_of(np.full((2, 2), 0.5), examples=2)
BODY = codec.encode(GOOD)


def with_tensors(**changes: NDArray[Any] | None) -> Offence:
    """A well-made request whose body holds other tensors."""
    tensors = {**GOOD, **{name.replace("__", "."): array for name, array in changes.items()}}
    return with_body(codec.encode({name: array for name, array in tensors.items() if array is not None}))


def with_body(body: bytes) -> Offence:
    return lambda device, assignment_id: device.report(assignment_id, body)


def with_headers(**headers: str) -> Offence:
    return lambda device, assignment_id: device.report(assignment_id, BODY, **headers)


def without_header(name: str) -> Offence:
    def send(device: Device, assignment_id: str) -> httpx.Response:
        headers = {"Content-Type": codec.MEDIA_TYPE, "Content-Digest": content_digest(BODY)}
        del headers[name]
        return device.send("POST", f"/v1/assignments/{assignment_id}/report", content=BODY, headers=headers)

    return send


def in_chunks(device: Device, assignment_id: str) -> httpx.Response:
    def pieces() -> Iterator[bytes]:
        yield BODY[:50]
        yield BODY[50:]

    headers = {"Content-Type": codec.MEDIA_TYPE, "Content-Digest": content_digest(BODY)}
    return device.send("POST", f"/v1/assignments/{assignment_id}/report", content=pieces(), headers=headers)


def with_a_token(token: str) -> Offence:
    def send(device: Device, assignment_id: str) -> httpx.Response:
        return Device(device.world, token=token).report(assignment_id, BODY)

    return send


def anonymously(device: Device, assignment_id: str) -> httpx.Response:
    return device.world.http.post(f"/v1/assignments/{assignment_id}/report", content=BODY)


def to_an_unknown_assignment(device: Device, assignment_id: str) -> httpx.Response:
    return device.report("asg_unknown", BODY)


def to_an_address_that_no_database_can_compare(device: Device, assignment_id: str) -> httpx.Response:
    return device.report("asg_%00", BODY)


def as_a_stranger(device: Device, assignment_id: str) -> httpx.Response:
    return device.world.task().device().report(assignment_id, BODY)


F32 = np.float32
NAN, INFINITE = (np.array([[1, value], [0, 0]], F32) for value in (np.nan, -np.inf))

OFFENCES: dict[str, tuple[Offence, int, str]] = {
    "another media type": (with_headers(Content_Type="application/json"), 415, "unsupported-media-type"),
    "no media type": (without_header("Content-Type"), 415, "unsupported-media-type"),
    "a compressed body": (with_headers(Content_Encoding="gzip"), 415, "unsupported-media-type"),
    "no length": (in_chunks, 411, "length-required"),
    "no digest": (without_header("Content-Digest"), 400, "digest-required"),
    "a digest of another kind": (with_headers(Content_Digest="md5=:AAAA:"), 400, "digest-required"),
    "the digest of other bytes": (with_headers(Content_Digest=content_digest(b"other")), 400, "digest-mismatch"),
    "garbage": (with_body(bytes(range(256))), 422, "malformed-tensors"),
    "nothing": (with_body(b""), 422, "malformed-tensors"),
    "a truncated file": (with_body(BODY[:-5]), 422, "malformed-tensors"),
    "a file with a tail": (with_body(BODY + b"tail"), 422, "malformed-tensors"),
    "an oversized body": (with_body(BODY + bytes(100_000)), 413, "body-too-large"),
    "a header bomb": (with_body((2**40).to_bytes(8, "little") + b"{" * 1000), 422, "malformed-tensors"),
    "a wrong shape": (with_tensors(items=np.zeros(4, F32)), 422, "wrong-shape"),
    "a wrong dtype": (with_tensors(items=np.zeros((2, 2))), 422, "wrong-dtype"),
    "a wrong name": (with_tensors(items=None, item=np.zeros((2, 2), F32)), 422, "unexpected-tensor"),
    "a missing tensor": (with_tensors(items=None), 422, "missing-tensor"),
    "an extra tensor": (with_tensors(extra=np.zeros(1, F32)), 422, "unexpected-tensor"),
    "a private tensor": (with_tensors(user_vector=np.zeros(1, F32)), 422, "private-tensor"),
    "NaN": (with_tensors(items=NAN), 422, "not-finite"),
    "infinity": (with_tensors(items=INFINITE), 422, "not-finite"),
    "a norm above the bound": (with_tensors(items=np.full((2, 2), 1e9, F32)), 422, "norm-exceeded"),
    "no examples": (with_tensors(fedrec__examples=np.array([0])), 422, "examples-out-of-range"),
    "a claim of too many examples": (with_tensors(fedrec__examples=np.array([10_001])), 422, "examples-out-of-range"),
    "a stale base version": (with_headers(Fedrec_Base_Version="ver_old"), 409, "stale-base-version"),
    "an unknown assignment": (to_an_unknown_assignment, 404, "unknown-assignment"),
    "an impossible assignment": (to_an_address_that_no_database_can_compare, 422, "invalid-request"),
    "somebody else's assignment": (as_a_stranger, 404, "unknown-assignment"),
    "no credential": (anonymously, 401, "unauthenticated"),
    "a made-up token": (with_a_token("e30.e30.e30"), 401, "unauthenticated"),
}


def assert_problem(answer: httpx.Response, status: int, slug: str) -> None:
    assert (answer.status_code, answer.json().get("slug")) == (status, slug), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == f"/problems/{slug}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(("offence", "status", "slug"), OFFENCES.values(), ids=OFFENCES.keys())
def test_a_bad_report_is_refused_by_name_and_harms_nobody(
    world: World, offence: Offence, status: int, slug: str
) -> None:
    task = world.task(rounds={"aggregation_goal": 2, "over_selection_factor": 1.5}, private=["user_*"])
    early, offender, late = task.devices(3)
    own, bad, other = (device.assigned()["assignment_id"] for device in (early, offender, late))
    assert early.report(own, report_of(np.full((2, 2), 0.5), examples=2)).status_code == 201
    assert_problem(offence(offender, bad), status, slug)
    assert offender.send("GET", f"/v1/assignments/{bad}").json()["state"] == "open"
    assert late.report(other, report_of(np.full((2, 2), -1.0), examples=1)).status_code == 201
    world.work()
    # (2 x 0.5 - 1 x 1) / 3 = 0: exactly the two good reports
    assert task.weights()["items"].tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert task.version()["lineage"]["report_count"] == 2


def test_whoever_was_refused_may_correct_the_report(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 1})
    device = task.device()
    assignment_id = device.assigned()["assignment_id"]
    assert device.report(assignment_id, codec.encode(GOOD)[:-1]).status_code == 422
    assert device.report(assignment_id, GOOD).status_code == 201


def connect(world: World, index: int = 0) -> socket.socket:
    url = httpx.URL(world.aggregator_urls[index])
    return socket.create_connection((url.host, url.port or 80), timeout=60)


def head_of(device: Device, assignment_id: str) -> bytes:
    lines = [
        f"POST /v1/assignments/{assignment_id}/report HTTP/1.1",
        "Host: aggregator",
        f"Authorization: Bearer {device.token}",
        f"Content-Type: {codec.MEDIA_TYPE}",
        f"Content-Length: {len(BODY)}",
        f"Content-Digest: {content_digest(BODY)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def test_a_connection_that_breaks_in_the_middle_of_a_body_costs_nothing(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 1})
    device = task.device()
    assignment_id = device.assigned()["assignment_id"]
    with connect(world) as connection:
        connection.sendall(head_of(device, assignment_id) + BODY[:40])
    assert device.send("GET", f"/v1/assignments/{assignment_id}").json()["state"] == "open"
    assert device.report(assignment_id, GOOD).status_code == 201


def test_a_body_that_stalls_is_given_up(world: World) -> None:
    task = world.task()
    device = task.device()
    assignment_id = device.assigned()["assignment_id"]
    patient = world.apps[1].state.body_budget
    world.apps[1].state.body_budget = BodyBudget(10**6, Pace(longest_seconds=0.3))
    try:
        with connect(world, 1) as connection:
            connection.sendall(head_of(device, assignment_id) + BODY[:40])
            answer = connection.recv(65536)
            while b"}" not in answer:  # its body may come in a packet of its own
                answer += connection.recv(65536)
    finally:
        world.apps[1].state.body_budget = patient
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"/problems/body-timeout" in answer


def test_the_same_report_again_gets_the_same_receipt(world: World) -> None:
    task = world.task()
    device = task.device()
    assignment_id = device.assigned()["assignment_id"]
    first = device.report(assignment_id, GOOD)
    again = device.report(assignment_id, GOOD)
    elsewhere = device.report(assignment_id, GOOD, url=world.aggregator_urls[1])
    assert [answer.status_code for answer in (first, again, elsewhere)] == [201, 200, 200]
    assert first.json() == again.json() == elsewhere.json()
    assert first.json()["content_digest"] == content_digest(BODY)
    view = device.send("GET", f"/v1/assignments/{assignment_id}").json()
    assert (view["state"], view["receipt"]) == ("reported", first.json())


def test_the_receipt_is_still_there_when_the_round_is_over(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 1})
    device = task.device()
    assignment_id = device.assigned()["assignment_id"]
    first = device.report(assignment_id, GOOD)
    world.work()
    assert task.round["number"] == 2
    again = device.report(assignment_id, GOOD)
    assert (again.status_code, again.json()) == (200, first.json())


def test_a_second_different_report_is_a_conflict_and_the_first_counts(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 2})
    device, other = task.devices(2)
    assignment_id = device.assigned()["assignment_id"]
    assert device.report(assignment_id, GOOD).status_code == 201
    different = report_of(np.full((2, 2), 9.0))
    for url in world.aggregator_urls:
        assert_problem(device.report(assignment_id, different, url=url), 409, "report-conflict")
    assert other.report(other.assigned()["assignment_id"], GOOD).status_code == 201
    world.work()
    assert task.weights()["items"].tolist() == [[0.5, 0.5], [0.5, 0.5]]


def test_a_report_after_the_round_closed_is_refused(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 1, "over_selection_factor": 2})
    fast, slow = task.devices(2)
    assignments = [device.assigned()["assignment_id"] for device in (fast, slow)]
    assert fast.report(assignments[0], GOOD).status_code == 201
    world.work()
    assert_problem(slow.report(assignments[1], GOOD), 409, "round-closed")
    assert slow.send("GET", f"/v1/assignments/{assignments[1]}").json()["state"] == "expired"
    assert task.version()["lineage"]["report_count"] == 1


def test_a_report_after_the_assignments_time_is_refused(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 2, "deadline_seconds": 60, "report_timeout_seconds": 20})
    device = task.device()
    assignment_id = device.assigned()["assignment_id"]
    world.advance(20)
    assert_problem(device.report(assignment_id, GOOD), 410, "assignment-expired")
    assert device.check_in()["reason"] == "too-late"


def test_reports_that_share_a_look_up_with_a_bad_one_are_served(world: World) -> None:
    """Look-ups of many requests share one query; none of them may fail it for the others."""
    task = world.task(rounds={"aggregation_goal": 4})
    good, bad = task.devices(4), task.device()
    assignments = [device.assigned()["assignment_id"] for device in good]
    answers: list[int] = []
    stop = threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            bad.report("asg_%00", BODY)
            bad.report("asg_%ff", BODY)

    disturbance = threading.Thread(target=disturb)
    disturbance.start()
    try:
        for device, assignment_id in zip(good, assignments, strict=True):
            answers.append(device.report(assignment_id, GOOD).status_code)
            answers.extend(device.report(assignment_id, GOOD).status_code for _ in range(5))
    finally:
        stop.set()
        disturbance.join()
    assert answers == [201, 200, 200, 200, 200, 200] * 4


def test_the_pages_of_all_problems_exist(world: World) -> None:
    for _, _, slug in OFFENCES.values():
        page = world.http.get(f"/problems/{slug}")
        assert page.status_code == 200
        assert slug in page.text
    assert world.http.get("/problems/invented").status_code == 404


def test_an_unknown_task_is_said_to_be_unknown(world: World) -> None:
    for path in ("", "/rounds", "/rounds/current", "/enrolment-keys"):
        assert_problem(world.operator("GET", f"/v1/tasks/tsk_unknown{path}"), 404, "unknown-task")
    for verb in ("pause", "resume", "cancel"):
        assert_problem(world.operator("POST", f"/v1/tasks/tsk_unknown/{verb}"), 404, "unknown-task")
    assert_problem(world.operator("POST", "/v1/tasks/tsk_unknown/enrolment-keys", json={}), 404, "unknown-task")
    assert_problem(world.operator("GET", "/v1/rounds/rnd_unknown"), 404, "unknown-round")
