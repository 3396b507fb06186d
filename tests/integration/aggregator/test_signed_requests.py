"""A deployment that demands that devices sign their requests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from fedrec.local.databases import create_database
from fedrec.local.postgres import LocalPostgres
from fedrec_protocol.digest import content_digest
from fedrec_protocol.message_signatures import SignedRequest, sign
from fedrec_sdk import Contributed, Participant
from tests.integration.aggregator.cohort import SIZE, KnownUpdate, update_of
from tests.integration.aggregator.deployment import Device
from tests.integration.aggregator.world import World


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
    request = SignedRequest(options.get("method", method), options.get("path", path), digest)
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


def test_a_signature_covers_no_query(strict: World) -> None:
    device = strict.task().device()
    answer = device.send("GET", "/v1/task?x=1", headers=signed(device, "GET /v1/task", None))
    assert refusal(answer) == (401, "signature-invalid")


def test_without_a_valid_token_a_signature_opens_nothing(strict: World) -> None:
    device = strict.task().device()
    device.token = "x.y.z"
    assert refusal(check_in(device)) == (401, "unauthenticated")
    assert refusal(device.send("GET", "/v1/task")) == (401, "unauthenticated")


def test_the_sdk_signs_when_it_is_asked_to(strict: World, tmp_path: Path) -> None:
    strict.advance((datetime.now(UTC) - strict.clock.now()).total_seconds())  # the SDK goes by the real time
    task = strict.task(shared=[{"name": "items", "shape": [SIZE]}], rounds={"aggregation_goal": 1})
    trainer = KnownUpdate(update_of(1))
    with Participant(strict.aggregator_urls[0], task.enrolment_key, tmp_path, trainer, seed=1) as participant:
        assert isinstance(participant.contribute(), Contributed)
    strict.work()
    np.testing.assert_allclose(task.weights()["items"], update_of(1), atol=1e-6)


def test_where_signatures_are_optional_one_that_is_wrong_is_refused_all_the_same(world: World) -> None:
    device = world.task().device()
    assert refusal(check_in(device, path="/v1/task")) == (401, "signature-invalid")
    assert check_in(device).json()["outcome"] == "assigned"
    assert device.send("GET", "/v1/task").status_code == 200
