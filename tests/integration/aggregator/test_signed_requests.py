"""A deployment that demands that devices sign their requests."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedrec.local.postgres import LocalPostgres
from fedrec_protocol.digest import content_digest
from fedrec_protocol.message_signatures import SignedRequest, sign
from fedrec_sdk import Contributed, Participant
from services.kit import access_tokens
from tests.databases import create_database
from tests.integration.aggregator.cohort import SIZE, KnownUpdate, update_of
from tests.integration.aggregator.deployment import Device, Task, report_of
from tests.integration.aggregator.world import World

ONES = report_of(np.ones((2, 2)))


@pytest.fixture(scope="module")
def strict(postgres: LocalPostgres, migrated_template: str) -> Iterator[World]:
    url = create_database(postgres.url, "signed_requests", template=migrated_template)
    world = World(url, require_signed_requests=True)
    yield world
    world.stop()


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["slug"]


def signed(device: Device, what: str, body: bytes | None, **options: Any) -> dict[str, str]:
    """Header fields for a method and path; `options` are what is wrong with them."""
    method, path = what.split()
    digest = None if body is None else content_digest(body)
    created = int(device.world.clock.now().timestamp()) + options.get("created", 0)
    path, _, query = options.get("path", path).partition("?")
    request = SignedRequest(options.get("method", method), path, digest, query)
    signer = options.get("key", device.key).sign
    fields = sign(request, options.get("key_id", device.client_id), created, signer)
    return fields if digest is None else fields | {"Content-Digest": digest}


def check_in(device: Device, *, body: bytes = b"{}", sent: bytes | None = None, **options: Any) -> httpx.Response:
    headers = signed(device, "POST /v1/check-ins", body, **options) | {"Content-Type": "application/json"}
    return device.send("POST", "/v1/check-ins", content=body if sent is None else sent, headers=headers)


def test_an_unsigned_request_is_refused_and_a_signed_one_is_answered(strict: World) -> None:
    device = strict.task().device()
    assert refusal(device.send("POST", "/v1/check-ins", json={})) == (401, "signature-required")
    assert refusal(device.send("GET", "/v1/task")) == (401, "signature-required")
    assert check_in(device).json()["outcome"] == "assigned"
    assert device.send("GET", "/v1/task", headers=signed(device, "GET /v1/task", None)).status_code == 200


def test_a_stolen_token_is_of_no_use_without_the_devices_key(strict: World) -> None:
    task = strict.task()
    device, thief = task.devices(2)
    assert refusal(check_in(device, key=thief.key)) == (401, "signature-invalid")
    assert refusal(check_in(device, key=thief.key, key_id=thief.client_id)) == (401, "signature-invalid")


WRONG: dict[str, dict[str, Any]] = {
    "another method": {"method": "PUT"},
    "another path": {"path": "/v1/task"},
    "from before the window": {"created": -331},
    "from the future": {"created": 31},
}


@pytest.mark.parametrize("options", WRONG.values(), ids=WRONG.keys())
def test_a_signature_of_something_else_is_refused(strict: World, options: dict[str, Any]) -> None:
    assert refusal(check_in(strict.task().device(), **options)) == (401, "signature-invalid")


def test_a_body_that_is_not_the_signed_one_is_refused(strict: World) -> None:
    answer = check_in(strict.task().device(), sent=b'{"kinds": ["evaluation"]}')
    assert answer.status_code == 400
    assert "digest" in answer.json()["detail"]


def test_a_signature_covers_the_query(strict: World) -> None:
    device = strict.task().device()
    for path in ("/v1/task", "/v1/task?x=2"):
        answer = device.send("GET", "/v1/task?x=1", headers=signed(device, f"GET {path}", None))
        assert refusal(answer) == (401, "signature-invalid")
    answer = device.send("GET", "/v1/task?x=1", headers=signed(device, "GET /v1/task?x=1", None))
    assert answer.status_code == 200


def test_without_a_valid_token_a_signature_opens_nothing(strict: World) -> None:
    device = strict.task().device()
    device.token = "x.y.z"
    assert refusal(check_in(device)) == (401, "unauthenticated")
    assert refusal(device.send("GET", "/v1/task")) == (401, "unauthenticated")


def test_the_sdk_signs_when_it_is_asked_to(strict: World, tmp_path: Path) -> None:
    strict.advance((datetime.now(UTC) - strict.clock.now()).total_seconds())  # the SDK goes by the real time
    task = strict.task(shared=[{"name": "items", "shape": [SIZE]}], rounds={"aggregation_goal": 1})
    _contribute_by_sdk(task, tmp_path)


def _contribute_by_sdk(task: Task, folder: Path) -> None:
    trainer = KnownUpdate(update_of(1))
    with Participant(task.world.aggregator_urls[0], task.enrolment_key, folder, trainer, seed=1) as participant:
        assert isinstance(participant.contribute(), Contributed)
    task.world.work()
    np.testing.assert_allclose(task.weights()["items"], update_of(1), atol=1e-6)


# ---- one task that demands signatures, in a deployment that does not ------------------------------------------


def registry_get(device: Device, path: str, **headers: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {device.token}", **headers}
    return httpx.get(device.world.registry_url + path, headers=headers, timeout=60, trust_env=False)


def test_a_task_may_demand_signatures_for_itself(world: World) -> None:
    strict_task, other = world.task(signed_requests=True), world.task()
    device = strict_task.device()
    assert refusal(device.send("POST", "/v1/check-ins", json={})) == (401, "signature-required")
    assert check_in(device).json()["outcome"] == "assigned"
    assert other.device().check_in()["outcome"] == "assigned"


def test_tokens_say_that_requests_must_be_signed(world: World) -> None:
    for demanded in (True, False):
        task = world.task(signed_requests=demanded)
        device = Device(world)
        assert device.enrol(task.enrolment_key).json()["token"]["must_sign"] is demanded
        assert device.renew().json()["must_sign"] is demanded


def test_who_knows_a_public_key_and_the_enrolment_key_is_not_its_device(world: World) -> None:
    task = world.task()
    device = task.device()
    assignment_id = device.assigned()["assignment_id"]
    body = {"public_key": base64.urlsafe_b64encode(device.key.public_key().public_bytes_raw()).decode().rstrip("=")}
    headers = {"Authorization": f"Bearer {task.enrolment_key}"}
    answer = world.http.post("/v1/enrolments", json=body, headers=headers).json()
    assert (answer["client_id"], answer["token"]["must_sign"]) == (device.client_id, True)
    thief = Device(world, client_id=device.client_id, token=answer["token"]["access_token"])
    for method, path in (("POST", "/v1/check-ins"), ("GET", f"/v1/assignments/{assignment_id}")):
        assert refusal(thief.send(method, path, json={})) == (401, "signature-required")
    assert refusal(thief.report(assignment_id, ONES)) == (401, "signature-required")
    weights = f"/v1/versions/{task.get()['current_version_id']}/weights"
    assert refusal(registry_get(thief, weights)) == (401, "signature-required")
    assert device.report(assignment_id, ONES).status_code == 201


def test_the_registry_demands_them_too(world: World) -> None:
    task = world.task(signed_requests=True)
    device, thief = task.devices(2)
    model = task.get()["manifest"]["model"]
    weights = f"/v1/versions/{task.get()['current_version_id']}/weights"
    for path in (weights, f"/v1/models/{model}", f"/v1/models/{model}/versions?limit=3"):
        assert refusal(registry_get(device, path)) == (401, "signature-required")
        assert registry_get(device, path, **signed(device, f"GET {path}", None)).status_code == 200
        stolen = signed(device, f"GET {path}", None, key=thief.key)
        assert refusal(registry_get(device, path, **stolen)) == (401, "signature-invalid")


def test_a_token_that_names_no_key_is_exchanged_for_one_that_does(world: World) -> None:
    device = world.task().device()
    signer = Ed25519PrivateKey.from_private_bytes(world.apps[0].state.access.signing_key.private_bytes_raw())
    older = access_tokens.Participant(device.client_id, device.send("GET", "/v1/task").json()["task_id"], "m")
    device.token = access_tokens.issue(older, signer, world.clock.now())
    assert device.send("GET", "/v1/task").status_code == 200
    assert refusal(check_in(device)) == (401, "credential-expired")


def test_the_sdk_signs_for_a_task_that_demands_it(world: World, tmp_path: Path) -> None:
    world.advance((datetime.now(UTC) - world.clock.now()).total_seconds())
    options = {"rounds": {"aggregation_goal": 1}, "signed_requests": True}
    _contribute_by_sdk(world.task(shared=[{"name": "items", "shape": [SIZE]}], **options), tmp_path)


def test_where_signatures_are_optional_one_that_is_wrong_is_refused_all_the_same(world: World) -> None:
    device = world.task().device()
    assert refusal(check_in(device, path="/v1/task")) == (401, "signature-invalid")
    assert check_in(device).json()["outcome"] == "assigned"
    assert device.send("GET", "/v1/task").status_code == 200
