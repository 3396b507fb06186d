"""Fixtures every test may use: a real Postgres, and a fresh database at migration head."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from fedrec.local.migrate import upgrade
from fedrec.local.postgres import LocalPostgres
from fedrec.local.stack import LocalStack, local_stack
from fedrec.operator import Operator
from tests.databases import create_database, drop_database

_numbers = itertools.count(1)

# Terminals and proxies are of the machine, not of what is tested: colours would be in the texts that are compared, and
# requests to our own servers would go elsewhere.
for _name in ("FORCE_COLOR", "PY_COLORS", "CLICOLOR_FORCE", "GITHUB_ACTIONS", "COLUMNS"):
    os.environ.pop(_name, None)
os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"

# The same examples in every run, and no limit that a busy machine could exceed; `--hypothesis-profile default` looks
# for others.
settings.register_profile(
    "repeatable", derandomize=True, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def postgres() -> Iterator[LocalPostgres]:
    """One server for each test process, without fsync. A test that stops or kills Postgres starts its own."""
    with LocalPostgres(fsync=False) as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres: LocalPostgres) -> str:
    """The name of a database at migration head, made once."""
    upgrade(create_database(postgres.url, "migrated"))
    return "migrated"


@pytest.fixture
def empty_database_url(postgres: LocalPostgres) -> Iterator[str]:
    """SQLAlchemy URL of a fresh database with nothing in it."""
    name = f"empty_{next(_numbers)}"
    yield create_database(postgres.url, name)
    drop_database(postgres.url, name)


@pytest.fixture
def database_url(postgres: LocalPostgres, migrated_template: str) -> Iterator[str]:
    """SQLAlchemy URL of a fresh database at migration head."""
    name = f"test_{next(_numbers)}"
    yield create_database(postgres.url, name, template=migrated_template)
    drop_database(postgres.url, name)


@pytest.fixture(scope="session")
def stack() -> Iterator[LocalStack]:
    """Postgres, registry, aggregator and worker, as `./run serve` starts them: one deployment for each test process.

    Everybody's tasks and models have names of their own. A test that stops or kills a part starts its own deployment.
    """
    with local_stack(fsync=False) as stack:
        yield stack


@pytest.fixture
def operator(stack: LocalStack) -> Iterator[Operator]:
    """Who administrates that deployment."""
    with Operator(
        stack.aggregator_url,
        stack.registry_url,
        aggregator_key=stack.secrets.aggregator_admin_key,
        registry_key=stack.secrets.registry_admin_key,
    ) as operator:
        yield operator
