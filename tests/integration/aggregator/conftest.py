"""One deployment for all tests of this folder; every test makes its own task."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fedrec.local.postgres import LocalPostgres
from tests.databases import create_database
from tests.integration.aggregator.world import World


@pytest.fixture(scope="session")
def lasting_world(postgres: LocalPostgres, migrated_template: str) -> Iterator[World]:
    """Three API processes' worth of aggregators, a worker and a registry."""
    url = create_database(postgres.url, "aggregator_world", template=migrated_template)
    world = World(url, aggregators=3)
    yield world
    world.stop()


@pytest.fixture(scope="module")
def world(lasting_world: World) -> Iterator[World]:
    """The same for all modules. What tasks one leaves behind are ended: a worker looks at all that go on."""
    yield lasting_world
    for task in lasting_world.operator("GET", "/v1/tasks").json():
        if task["state"] != "completed":
            lasting_world.operator("POST", f"/v1/tasks/{task['task_id']}/cancel")
