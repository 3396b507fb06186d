"""No participant reads or changes another one's assignment, report or receipt: every route against every neighbour."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pytest

from fedrec_protocol import codec
from fedrec_protocol.digest import content_digest
from fedrec_protocol.encrypted_messages import ENCRYPTED_MEDIA_TYPE
from tests.integration.aggregator.deployment import Device, Task, report_of
from tests.integration.aggregator.test_credentials import PARTICIPANT, every_route
from tests.integration.aggregator.world import World

ONES = codec.encode(report_of(np.ones((2, 2))))
BYTES_32, BYTES_64 = "A" * 43, "A" * 86
CERTIFICATE = {"client_id": "cli_x", "device_key": BYTES_32, "signature": BYTES_64}
JSON: dict[str, dict[str, Any]] = {
    "advert": dict.fromkeys(("mask_key", "share_key", "seed_commitment"), BYTES_32) | {"certificate": CERTIFICATE},
    "shares": {"roster_hash": BYTES_32, "sealed": "", "digests": ""},
    "acknowledgement": {},
    "reveal": {"shares": ""},
}
OF_AN_ASSIGNMENT = sorted(route for route in PARTICIPANT if "{assignment_id}" in route[1])


def body_for(path: str) -> dict[str, Any]:
    """A request that is right but for who sends it."""
    media_types = {"report": codec.MEDIA_TYPE, "decrypted-sum": ENCRYPTED_MEDIA_TYPE}
    last = path.rpartition("/")[2]
    if last in media_types:
        return {
            "content": ONES,
            "headers": {"Content-Type": media_types[last], "Content-Digest": content_digest(ONES)},
        }
    return {"json": JSON[last] | {"signature": BYTES_64}} if last in JSON else {}


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["slug"]


def refusal_or_none(answer: httpx.Response) -> str | None:
    return None if answer.is_success else str(answer.json()["slug"])


@pytest.fixture(scope="module")
def task(world: World) -> Task:
    return world.task(rounds={"aggregation_goal": 20})


@pytest.fixture(scope="module")
def others(world: World, task: Task) -> dict[str, Device]:
    """A participant of the same task and one of another task, with assignments of their own."""
    found = {"same task": task.device(), "another task": world.task(rounds={"aggregation_goal": 3}).device()}
    for device in found.values():
        device.assigned()
    return found


def test_every_route_of_an_assignment_is_tried(world: World) -> None:
    assert {route for route in every_route(world) if "{assignment_id}" in route[1]} == set(OF_AN_ASSIGNMENT)


@pytest.mark.parametrize("has_reported", [False, True], ids=["open", "reported"])
@pytest.mark.parametrize("who", ["same task", "another task"])
def test_for_others_an_assignment_does_not_exist(
    task: Task, others: dict[str, Device], who: str, has_reported: bool
) -> None:
    owner, other = task.device(), others[who]
    assignment_id = owner.assigned()["assignment_id"]
    if has_reported:
        assert owner.report(assignment_id, ONES).status_code == 201
    for method, path in OF_AN_ASSIGNMENT:
        before = owner.assignment(assignment_id)
        address = path.format(assignment_id=assignment_id)
        assert refusal(other.send(method, address, **body_for(path))) == (404, "unknown-assignment"), (method, path)
        assert owner.assignment(assignment_id) == before
        # To its owner the same request says something else: the refusal was for who sent it.
        assert refusal_or_none(owner.send(method, address, **body_for(path))) != "unknown-assignment"


def test_another_clients_id_in_a_request_changes_nobody(task: Task, others: dict[str, Device]) -> None:
    owner, thief = task.device(), others["same task"]
    for body in ({"client_id": owner.client_id}, {"kinds": ["training"], "sub": owner.client_id}):
        assert thief.send("POST", "/v1/check-ins", json=body).status_code == 422
    headers = {"X-Client-Id": owner.client_id, "X-Forwarded-User": owner.client_id}
    assert thief.send("GET", "/v1/task", headers=headers).status_code == 200
    assert thief.check_in()["assignment"]["assignment_id"] == thief.assigned()["assignment_id"]
