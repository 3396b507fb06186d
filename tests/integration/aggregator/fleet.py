"""A deployment of real processes, which a test may kill, suspend, add and remove."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import Engine, create_engine, text

from fedrec.local.process import ServiceProcess
from fedrec.local.stack import LocalStack
from services.kit.clock import Clock, SystemClock
from tests.integration.aggregator.deployment import Deployment

PATIENCE_SECONDS = 120.0
"""Longer than Postgres lets a transaction be silent: a frozen process may hold a lock for that minute."""


class Fleet(Deployment):
    """Several API processes and workers and a registry, on a Postgres of their own."""

    def __init__(self, stack: LocalStack, clock: Clock | None = None, *, timeout_seconds: float = 60) -> None:
        urls, clock = stack.aggregator_urls, clock or SystemClock()
        super().__init__(urls, stack.registry_url, stack.secrets, clock, timeout_seconds=timeout_seconds)
        self.stack = stack
        assert stack.postgres is not None
        self.postgres = stack.postgres
        self.engine: Engine = create_engine(stack.postgres.url, pool_pre_ping=True)

    def process(self, name: str) -> ServiceProcess:
        return self.stack.processes[name]

    def work(self) -> None:
        """The workers work by themselves: wait until every task has an open round."""
        waiting = "SELECT count(*) FROM aggregator.tasks WHERE current_version IS NULL AND state = 'active'"
        until(lambda: self.value(waiting) == 0)

    def value(self, query: str, **parameters: object) -> object:
        with self.engine.connect() as connection:
            return connection.execute(text(query), parameters).scalar()

    def let_leases_expire(self) -> None:
        """Half a minute passes; not for those that are being written to this moment."""
        free = "SELECT name FROM aggregator.leases FOR UPDATE SKIP LOCKED"
        with self.engine.begin() as connection:
            connection.execute(text(f"UPDATE aggregator.leases SET expires_at = now() WHERE name IN ({free})"))

    def close(self) -> None:
        self.http.close()
        self.engine.dispose()


def until(happened: Callable[[], object], *, patience_seconds: float = PATIENCE_SECONDS) -> None:
    deadline = time.monotonic() + patience_seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
