"""JSON that was made to hurt, at every route that reads some: refused as what it is, and nothing else happens."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import pytest

from tests.integration.aggregator.world import World

OF_PARTICIPANTS = {"/v1/enrolments": 16, "/v1/tokens": 16, "/v1/check-ins": 16}
OF_OPERATORS = {"/v1/tasks": 1024, "/v1/operator-keys": 1024}


def pieces(begin: bytes, piece: bytes, end: bytes) -> Callable[[int], bytes]:
    """As much of `piece` as fits into so many bytes."""
    return lambda size: begin + piece * ((size - len(begin) - len(end)) // len(piece)) + end


HOSTILE: dict[str, Callable[[int], bytes]] = {
    "deep lists": pieces(b"", b"[", b""),
    "deep objects": pieces(b"", b'{"a":', b""),
    "a number of many digits": pieces(b'{"kinds": ', b"9", b"}"),
    "an exponent bomb": lambda _: b'{"kinds": 1e999999999}',
    "many wrong elements": pieces(b'{"kinds": [', b"0,", b"0]}"),
    "many unknown keys": lambda size: json.dumps({str(number): 0 for number in range(min(size // 12, 8000))}).encode(),
    "a long text": pieces(b'"', b"x", b'"'),
    "no UTF-8": lambda _: b'{"a": "\xff\xfe"}',
    "half a surrogate pair": lambda _: b'{"public_key": "\\ud800", "assertion": "\\ud800", "name": "\\ud800"}',
    "NUL": lambda _: b'{"public_key": "\\u0000", "assertion": "\\u0000", "name": "\\u0000"}',
    "a name that is a path": lambda _: b'{"name": "../../etc/passwd", "public_key": "../..", "assertion": "../.."}',
    "NaN": lambda _: b'{"kinds": NaN}',
    "UTF-16": lambda _: '{"unknown": 1}'.encode("utf-16"),
    "nothing but spaces": pieces(b"", b" ", b""),
}


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_json_is_refused_with_a_problem(world: World, body: Callable[[int], bytes]) -> None:
    """As large as the route reads; one byte more is too large."""
    task = world.task()
    device = task.device()
    secrets = {"/v1/enrolments": task.enrolment_key, "/v1/check-ins": device.token}
    for route, kibibytes in (OF_PARTICIPANTS | OF_OPERATORS).items():
        headers = {
            "Authorization": f"Bearer {secrets.get(route, world.secrets.aggregator_admin_key)}",
            "Content-Type": "application/json",
        }
        answer = world.http.post(route, content=body(1024 * kibibytes), headers=headers)
        assert answer.status_code in {400, 401, 422}, (route, answer.status_code, answer.text[:200])
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(answer.content) < 5000
        too_large = world.http.post(route, content=b" " * (1024 * kibibytes + 1), headers=headers)
        assert (too_large.status_code, too_large.json()["slug"]) == (413, "body-too-large")


@pytest.mark.parametrize("body", [gzip.compress(b"{}"), b"[" * 5000], ids=["compressed", "deep"])
def test_json_that_cannot_be_read_is_told_what_is_expected(world: World, body: bytes) -> None:
    headers = {"Authorization": f"Bearer {world.secrets.aggregator_admin_key}", "Content-Type": "application/json"}
    answer = world.http.post("/v1/tasks", content=body, headers=headers)
    assert (answer.status_code, answer.json()["slug"]) == (400, "invalid-request")
    assert answer.json()["detail"].startswith("send JSON in UTF-8, not compressed")
