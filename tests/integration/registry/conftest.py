"""A model registry on a real Postgres, and somebody of every role to ask it."""

from collections.abc import Iterator

import pytest

from fedrec.local.postgres import LocalPostgres
from tests.databases import create_database, drop_database
from tests.integration.registry.support import KeyServer, Registry, running, settings_for


@pytest.fixture(scope="session")
def key_server() -> Iterator[KeyServer]:
    server = KeyServer()
    yield server
    server.stop()


@pytest.fixture
def registry(database_url: str, key_server: KeyServer) -> Iterator[Registry]:
    """A registry of its own for one test."""
    key_server.is_up = True
    with running(settings_for(database_url, key_server), key_server) as registry:
        yield registry


@pytest.fixture
def films(registry: Registry) -> Registry:
    """A registry with the model `films`."""
    assert registry.send("POST", "/v1/models", json={"name": "films"}).status_code == 201
    return registry


@pytest.fixture(scope="session")
def refusing(postgres: LocalPostgres, migrated_template: str, key_server: KeyServer) -> Iterator[Registry]:
    """A registry with the model `films` and no version, for tests whose requests change nothing."""
    url = create_database(postgres.url, "registry_refusing", template=migrated_template)
    with running(settings_for(url, key_server), key_server) as registry:
        assert registry.send("POST", "/v1/models", json={"name": "films"}).status_code == 201
        yield registry
    drop_database(postgres.url, "registry_refusing")
