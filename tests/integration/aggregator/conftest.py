"""One deployment for all tests of this folder; every test makes its own task."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fedrec.local.postgres import LocalPostgres
from tests.databases import create_database
from tests.integration.aggregator.world import World


@pytest.fixture(scope="session")
def world(postgres: LocalPostgres, migrated_template: str) -> Iterator[World]:
    """Three API processes' worth of aggregators, a worker and a registry."""
    url = create_database(postgres.url, "aggregator_world", template=migrated_template)
    world = World(url, aggregators=3)
    yield world
    world.stop()
