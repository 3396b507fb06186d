"""One deployment for all examples; every example makes its own task."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedrec.local.postgres import LocalPostgres
from tests.databases import create_database
from tests.integration.aggregator.world import World


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the aggregator keeps objects."""
    return tmp_path_factory.mktemp("home") / "objects"


@pytest.fixture(scope="session")
def world(postgres: LocalPostgres, migrated_template: str, objects: Path) -> Iterator[World]:
    """Two processes' worth of aggregators, a worker and a registry."""
    url = create_database(postgres.url, "stateful_world", template=migrated_template)
    world = World(url, aggregators=2, object_home=f"folder:{objects}", body_timeout_seconds=20.0)
    yield world
    world.stop()
