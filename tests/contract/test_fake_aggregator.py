"""The fake that app authors test with answers what the real services answer."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from fedrec_sdk.testing import FakeAggregator
from fedrec_sdk.testing.routes import Routes
from tests.contract.test_aggregator_openapi import DOCUMENT as AGGREGATOR
from tests.contract.test_registry_openapi import DOCUMENT as REGISTRY
from tests.unit.sdk.conftest import popularity_manifest

SELF_PROVING = {"/v1/tokens", "/v1/device-key"}
ROUTES: dict[str, dict[str, Any]] = {
    f"{method.upper()} {path}": operation
    for document in (AGGREGATOR, REGISTRY)
    for path, methods in document["paths"].items()
    for method, operation in methods.items()
    if "homomorphic encryption" not in operation["tags"]
    if path in SELF_PROVING or any({"participant", "app"} & way.keys() for way in operation.get("security", []))
}
"""Every operation that a device may use; silos that encrypt their reports need real services."""


def filled(path: str) -> str:
    return re.sub(r"\{[a-z_]+\}", "unknown", path)


def test_a_task_that_the_fake_cannot_run_is_refused() -> None:
    manifest = popularity_manifest().model_copy(update={"homomorphic_encryption": object()})
    with pytest.raises(ValueError, match="encrypted"):
        FakeAggregator(manifest)


def send(aggregator: FakeAggregator, route: str) -> httpx.Response:
    method, path = route.split()
    return httpx.request(method, aggregator.url + filled(path), json={}, timeout=10, trust_env=False)


@pytest.fixture(scope="module")
def aggregator() -> Any:
    with FakeAggregator(popularity_manifest()) as running:
        yield running


def test_devices_have_routes_at_both_services() -> None:
    assert {"PUT /v1/device-key", "POST /v1/check-ins", "GET /v1/models/{model}/catalogue"} < ROUTES.keys()


@pytest.mark.parametrize("route", ROUTES)
def test_the_fake_has_every_route_that_devices_have(aggregator: FakeAggregator, route: str) -> None:
    answer = send(aggregator, route)
    # Nobody is let in without a credential, so a route that is there says 401, or that the body is wrong.
    assert answer.status_code in {401, 422}
    assert str(answer.status_code) in ROUTES[route]["responses"]


def test_the_fake_has_no_route_that_the_services_do_not_have(aggregator: FakeAggregator) -> None:
    real = {(route.split()[0], filled(route.split()[1])) for route in ROUTES}
    for method, pattern, _ in Routes(aggregator.clients, aggregator.task, aggregator.registry).routes:
        assert any(method == other and re.fullmatch(pattern, path) for other, path in real), (method, pattern)
