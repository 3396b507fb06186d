"""The dashboard comes whole from the aggregator, and asks only what the API describes."""

from __future__ import annotations

import re
from pathlib import Path

from services.aggregator.api import dashboard
from tests.integration.aggregator.world import World

SCRIPT = Path(dashboard.__file__).parents[1] / "static" / "dashboard" / "dashboard.js"


def test_the_page_and_all_it_needs_come_from_the_aggregator(world: World) -> None:
    page = world.http.get("/dashboard")
    assert page.status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    addresses = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(addresses) == 5
    for address in addresses:
        assert not address.startswith(("http", "//"))
        assert world.http.get(f"/{address}").status_code == 200


def test_the_page_holds_no_data_without_a_key(world: World) -> None:
    task = world.task()
    assert task.id not in world.http.get("/dashboard").text
    assert world.http.get("/v1/tasks").status_code == 401


def test_every_address_that_the_script_asks_is_in_the_api(world: World) -> None:
    asked = re.findall(r'get\([`"](v1/[^`"?]+)', SCRIPT.read_text(encoding="utf-8"))
    described = world.http.get("/openapi.json").json()["paths"]
    assert len(asked) == 3
    for address in asked:
        assert "/" + address.replace("${task.task_id}", "{task_id}") in described
