"""A device replaces its key while it takes part."""

from __future__ import annotations

import base64
import concurrent.futures
import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import jwt
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedrec_sdk import Contributed, Participant
from services.aggregator.storage import credentials
from tests.integration.aggregator.cohort import SIZE, KnownUpdate, update_of
from tests.integration.aggregator.deployment import Device, report_of
from tests.integration.aggregator.world import World
from tests.integration.meanwhile import meanwhile

ONES = report_of(np.ones((2, 2)))


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["slug"]


def raw(key: Ed25519PrivateKey) -> str:
    return base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).decode().rstrip("=")


def wish(device: Device, signer: Ed25519PrivateKey, new: Ed25519PrivateKey, **claims: Any) -> str:
    now = int(device.world.clock.now().timestamp())
    own = {"iss": device.client_id, "sub": device.client_id, "aud": "fedrec device key", "iat": now, "exp": now + 60}
    return jwt.encode(own | {"new_key": raw(new)} | claims, signer, algorithm="EdDSA")


def change(device: Device, new: Ed25519PrivateKey, *, url: str = "", **signed: str) -> httpx.Response:
    """Ask for another key; `signed` is what is sent in the place of a right assertion or confirmation."""
    body = {"assertion": wish(device, device.key, new), "confirmation": wish(device, new, new)} | signed
    return device.world.http.put(f"{url}/v1/device-key", json=body)


def with_key(device: Device, key: Ed25519PrivateKey, answer: httpx.Response) -> Device:
    """The same device as it goes on after an answer."""
    assert answer.status_code == 200, answer.text
    changed = copy.copy(device)
    changed.key, changed.token = key, answer.json()["access_token"]
    return changed


def test_a_device_goes_by_its_new_key_and_is_the_same_client(world: World) -> None:
    device, new = world.task(rounds={"aggregation_goal": 2}).device(), Ed25519PrivateKey.generate()
    assignment_id = device.assigned()["assignment_id"]
    changed = with_key(device, new, change(device, new))
    assert changed.assigned()["assignment_id"] == assignment_id
    assert changed.report(assignment_id, ONES).status_code == 201
    assert changed.renew().status_code == 201
    assert refusal(device.renew()) == (401, "unauthenticated")


def test_tokens_of_the_old_key_end_at_every_process_and_route(world: World) -> None:
    device, new = world.task(rounds={"aggregation_goal": 2}).device(), Ed25519PrivateKey.generate()
    assignment = f"/v1/assignments/{device.assigned()['assignment_id']}"
    with_key(device, new, change(device, new))
    for url in world.aggregator_urls:
        for method, path in (("POST", "/v1/check-ins"), ("GET", "/v1/task"), ("GET", assignment)):
            assert refusal(device.send(method, path, url=url)) == (401, "credential-expired")
        assert refusal(device.report(assignment.rpartition("/")[2], ONES, url=url)) == (401, "credential-expired")
        assert refusal(device.send("GET", f"{assignment}/secure", url=url)) == (401, "credential-expired")


def test_a_lost_answer_is_asked_for_again(world: World) -> None:
    device, new = world.task().device(), Ed25519PrivateKey.generate()
    first, second = change(device, new), change(device, new, url=world.aggregator_urls[1])
    assert with_key(device, new, first).check_in()["outcome"] == "assigned"
    assert with_key(device, new, second).check_in()["outcome"] == "assigned"


def test_the_same_request_through_three_processes_at_once_gives_one_key(world: World) -> None:
    device, new = world.task().device(), Ed25519PrivateKey.generate()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda url: change(device, new, url=url), world.aggregator_urls))
    assert all(with_key(device, new, answer).check_in()["outcome"] == "assigned" for answer in answers)


def test_both_keys_have_to_sign_for_this_and_now(world: World) -> None:
    task = world.task()
    device, other = task.devices(2)
    new, third = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    wrong = [
        {"assertion": wish(device, third, new)},
        {"assertion": wish(device, device.key, third)},
        {"assertion": wish(device, device.key, new, iat=0, exp=60)},
        {"assertion": wish(device, device.key, new, sub=other.client_id)},
        {"assertion": device.assertion()},
        {"confirmation": wish(device, device.key, new)},
        {"confirmation": wish(device, new, new, aud="fedrec")},
        {"confirmation": wish(device, new, new, iss=other.client_id, sub=other.client_id)},
        {"confirmation": wish(device, new, new, new_key="AAAA")},
        {"confirmation": wish(device, new, new, new_key=["x"])},
        {"confirmation": wish(device, new, new, sub="cli_\0")},
        {"confirmation": "no.jwt.at all"},
    ]
    for signed in wrong:
        assert refusal(change(device, new, **signed)) == (401, "unauthenticated"), signed
    assert device.check_in()["outcome"] == "assigned"


def test_a_wish_for_a_key_is_no_request_for_a_token(world: World) -> None:
    device, new = world.task().device(), Ed25519PrivateKey.generate()
    answer = world.http.post("/v1/tokens", json={"assertion": wish(device, device.key, new)})
    assert refusal(answer) == (401, "unauthenticated")


def test_a_revoked_device_cannot_get_a_key(world: World) -> None:
    task, new = world.task(), Ed25519PrivateKey.generate()
    device = task.device()
    assert world.operator("DELETE", f"/v1/tasks/{task.id}/clients/{device.client_id}").status_code == 204
    assert refusal(change(device, new)) == (401, "unauthenticated")


def test_a_device_that_is_revoked_while_it_gets_a_key_gets_none(world: World) -> None:
    task, new, answers = world.task(), Ed25519PrivateKey.generate(), list[httpx.Response]()
    device = task.device()
    with meanwhile(world.context.db.engine, lambda: answers.append(change(device, new))) as tx:
        credentials.revoke_client(tx, task.id, device.client_id, world.clock.now())
    assert refusal(answers[0]) == (401, "unauthenticated")


def test_a_client_whose_key_was_replaced_can_be_revoked_and_stays_so(world: World) -> None:
    task, new = world.task(), Ed25519PrivateKey.generate()
    device = task.device()
    changed = with_key(device, new, change(device, new))
    assert world.operator("DELETE", f"/v1/tasks/{task.id}/clients/{device.client_id}").status_code == 204
    assert changed.check_in()["reason"] == "revoked"
    assert refusal(change(device, new)) == (401, "unauthenticated")
    assert refusal(changed.enrol(task.enrolment_key)) == (401, "unauthenticated")


def test_the_key_of_another_client_is_not_given_away(world: World) -> None:
    device, other = world.task().devices(2)
    assert refusal(change(device, other.key)) == (409, "device-key-taken")
    assert {each.check_in()["outcome"] for each in (device, other)} <= {"assigned", "not-selected"}


@pytest.mark.parametrize("is_answer_lost", [False, True])
def test_the_sdk_rotates_its_key_against_the_real_services(world: World, tmp_path: Path, is_answer_lost: bool) -> None:
    world.advance((datetime.now(UTC) - world.clock.now()).total_seconds())  # the SDK goes by the real time
    task = world.task(shared=[{"name": "items", "shape": [SIZE]}], rounds={"aggregation_goal": 1})
    trainer = KnownUpdate(update_of(1))
    with Participant(world.aggregator_urls[0], task.enrolment_key, tmp_path, trainer, seed=1) as participant:
        client_id = participant.enrol()
        before = participant.store.values.get("device_key")
        participant.rotate_key()
        after = participant.store.values.get("device_key")
        assert before is not None
        assert before != after
        if is_answer_lost:  # the store is as it was before the answer came
            participant.store.values.put("next_device_key", after or b"")
            participant.store.values.put("device_key", before)
        assert isinstance(participant.contribute(), Contributed)
        assert participant.enrol() == client_id
        assert participant.store.values.get("device_key") in ({before, after} if is_answer_lost else {after})
