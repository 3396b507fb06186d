"""An aggregator, a worker and a registry as they run in production, in this process, under one clock.

Requests go through real HTTP; the worker works when it is told to, so that a test decides what happens when.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import uvicorn
from fastapi import FastAPI

from fedrec.local.ports import ReservedPort
from fedrec.local.secrets import Secrets
from services.aggregator import app as aggregator_app
from services.aggregator.settings import Settings
from services.aggregator.storage import leases
from services.aggregator.storage.leases import Lease
from services.aggregator.stores import make_context
from services.aggregator.worker import Worker
from services.kit.clock import ManualClock
from services.kit.connection import connection_type
from services.model_registry import app as registry_app
from services.model_registry.settings import Settings as RegistrySettings
from tests.integration.aggregator.deployment import Deployment

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Server:
    """An application behind uvicorn in a thread."""

    def __init__(self, app: FastAPI, port: int) -> None:
        config = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=port,
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=5,
            http=connection_type(),
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the service did not start")
            self._thread.join(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)


class World(Deployment):
    """One deployment on one database.

    Args:
        database_url: where all services keep what lasts.
        aggregators: processes' worth of the API.
        secrets: those of a deployment that went before; None makes new ones.
        objects: where services keep objects, `{}` standing for the service's name; empty: in Postgres.
        settings: of the aggregator.
    """

    def __init__(
        self,
        database_url: str,
        *,
        aggregators: int = 1,
        secrets: Secrets | None = None,
        objects: str = "",
        **settings: Any,
    ) -> None:
        self._ports = [ReservedPort() for _ in range(1 + aggregators)]
        registry_url, *aggregator_urls = [port.url for port in self._ports]
        self.manual_clock = ManualClock(NOON)
        super().__init__(aggregator_urls, registry_url, secrets or Secrets.generate(), self.manual_clock)
        homes = {name: objects.format(name) or "postgres" for name in ("aggregator", "registry")}
        self.registry_settings = RegistrySettings(
            database_url=database_url,
            key_pepper=self.secrets.registry_pepper,
            jwks_url=f"{self.aggregator_urls[0]}/.well-known/jwks.json",
            public_aggregator_url=self.aggregator_urls[0],
            bootstrap_admin_key=self.secrets.registry_admin_key,
            bootstrap_run_key=self.secrets.registry_run_key,
            object_home=homes["registry"],
            log_level="critical",
        )
        self.settings = Settings(
            database_url=database_url,
            deployment_key=self.secrets.deployment_key,
            key_pepper=self.secrets.aggregator_pepper,
            registry_url=self.registry_url,
            registry_key=self.secrets.registry_run_key,
            bootstrap_admin_key=self.secrets.aggregator_admin_key,
            log_level="critical",
            **{"object_home": homes["aggregator"]} | settings,
        )
        self.start_registry()
        self.apps = [aggregator_app.create_app(self.settings, self.clock) for _ in range(aggregators)]
        self.aggregators = [self._serve(app, index) for index, app in enumerate(self.apps, start=1)]
        self.context = make_context(self.settings, self.clock)
        self.worker = Worker(self.context, 0.5, "test", retry=timedelta(0))

    def restart_aggregator(self, index: int = 0) -> None:
        """A new process in the place of an old one: what that had not acknowledged is lost."""
        self.aggregators[index].stop()
        self.apps[index] = aggregator_app.create_app(self.settings, self.clock)
        self.aggregators[index] = self._serve(self.apps[index], 1 + index)

    def stop_registry(self) -> None:
        self.registry.stop()

    def start_registry(self) -> None:
        self.registry_app = registry_app.create_app(self.registry_settings, self.clock)
        self.registry = self._serve(self.registry_app, 0)

    def stop(self) -> None:
        self.http.close()
        for server in (*self.aggregators, self.registry):
            server.stop()
        self.context.registry.close()
        self.context.db.dispose()
        for port in self._ports:
            port.release()

    def work(self, times: int = 1) -> None:
        """Let the worker do what is due now."""
        for _ in range(times):
            self.worker.run_once()

    def lease(self, name: str, *, seconds: float) -> Lease:
        """A worker's lease, which nobody else holds."""
        life = timedelta(seconds=seconds)
        lease = self.context.db.run("acquire", lambda tx: leases.acquire(tx, name, "somebody", life))
        assert lease is not None
        return lease

    def advance(self, seconds: float) -> None:
        self.manual_clock.advance(timedelta(seconds=seconds))

    def _serve(self, app: FastAPI, port: int) -> Server:
        return Server(app, self._ports[port].number)
