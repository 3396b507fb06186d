"""A model registry on a real Postgres, and somebody of every role to ask it."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from fedrec_protocol.messages import Role
from services.kit.clock import ManualClock
from services.model_registry.app import create_app
from services.model_registry.settings import Settings
from tests.integration.registry.support import ADMIN_KEY, NOON, KeyServer, Registry, settings_for


@pytest.fixture(scope="session")
def key_server() -> Iterator[KeyServer]:
    server = KeyServer()
    yield server
    server.stop()


@pytest.fixture
def settings(database_url: str, key_server: KeyServer) -> Settings:
    return settings_for(database_url, key_server)


@pytest.fixture
def registry(settings: Settings, key_server: KeyServer) -> Iterator[Registry]:
    clock = ManualClock(NOON)
    key_server.is_up = True
    app = create_app(settings, clock)
    with TestClient(app, raise_server_exceptions=False) as client:
        registry = Registry(client, app.state.context, key_server, clock, {Role.ADMIN: ADMIN_KEY})
        for role in (Role.READ, Role.RUN):
            registry.secrets[role] = registry.make_key(role)["secret"]
        yield registry


@pytest.fixture
def films(registry: Registry) -> Registry:
    """A registry with the model `films`."""
    assert registry.send("POST", "/v1/models", json={"name": "films"}).status_code == 201
    return registry
