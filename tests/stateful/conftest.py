"""One deployment for all examples; every example makes its own task."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fedrec.local.databases import create_database
from fedrec.local.postgres import LocalPostgres
from tests.integration.aggregator.world import World


@pytest.fixture(scope="session")
def world(postgres: LocalPostgres, migrated_template: str) -> Iterator[World]:
    """An aggregator, a worker and a registry."""
    url = create_database(postgres.url, "stateful_world", template=migrated_template)
    world = World(url, body_timeout_seconds=20.0)
    yield world
    world.stop()
