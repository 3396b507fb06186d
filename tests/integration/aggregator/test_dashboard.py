"""Each service's dashboard comes whole from that service, and asks only what its API describes."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from services.kit.dashboard import SHARED
from tests.integration.aggregator.world import World

SERVICES = Path(SHARED).parents[2]
SCRIPTS = {
    "aggregator": SERVICES / "aggregator" / "static" / "dashboard" / "dashboard.js",
    "registry": SERVICES / "model_registry" / "static" / "dashboard" / "models.js",
}
ASKED = {
    "aggregator": {
        "GET /v1/tasks",
        "GET /v1/tasks/{task_id}/rounds",
        "GET /v1/tasks/{task_id}/privacy",
        "POST /v1/tasks/{task_id}/pause",
        "POST /v1/tasks/{task_id}/resume",
        "POST /v1/tasks/{task_id}/cancel",
    },
    "registry": {
        "GET /v1/models",
        "GET /v1/models/{model}/versions",
        "GET /v1/models/{model}/aliases/{alias}/history",
        "PUT /v1/models/{model}/aliases/{alias}",
        "POST /v1/models/{model}/aliases/{alias}/rollback",
    },
}


def get(world: World, service: str, path: str) -> httpx.Response:
    url = world.aggregator_urls[0] if service == "aggregator" else world.registry_url
    return httpx.get(url + path, timeout=60, trust_env=False)


@pytest.mark.parametrize("service", SCRIPTS)
def test_the_page_and_all_it_needs_come_from_the_service(world: World, service: str) -> None:
    page = get(world, service, "/dashboard")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    needed = re.findall(r'<(?:script src|link rel="stylesheet" href)="([^"]+)"', page.text)
    assert len(needed) == 5
    for address in needed:
        assert get(world, service, f"/{address}").status_code == 200
    links = re.findall(r'<a [^>]*href="([^"]+)"', page.text)
    other = world.aggregator_urls[0] if service == "registry" else world.registry_url
    assert links == [f"{other}/dashboard", "docs"]


def test_the_page_holds_no_data_without_a_key(world: World) -> None:
    task = world.task()
    for service in SCRIPTS:
        assert task.id not in get(world, service, "/dashboard").text
    assert world.http.get("/v1/tasks").status_code == 401


@pytest.mark.parametrize("service", SCRIPTS)
def test_every_address_that_the_script_asks_is_in_the_api(world: World, service: str) -> None:
    script = SCRIPTS[service].read_text(encoding="utf-8")
    verbs = re.findall(r'^steer\("([a-z]+)"', script, re.MULTILINE)
    reads = {f"GET {address}" for address in re.findall(r'get\([`"](v1/[^`"?]+)', script)}
    changes = {f"{method} {address}" for method, address in re.findall(r'"(POST|PUT)", `(v1/[^`]+)`', script)}
    for name, value in (("task.task_id", "{task_id}"), ("model", "{model}"), ("ALIAS", "{alias}")):
        reads, changes = ({asked.replace("${" + name + "}", value) for asked in each} for each in (reads, changes))
    changes = {asked.replace("${verb}", verb) for asked in changes for verb in verbs or [""]}
    asked = {each.replace(" v1", " /v1") for each in reads | changes}
    assert asked == ASKED[service]
    paths = get(world, service, "/openapi.json").json()["paths"]
    assert asked <= {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
