"""Fixtures every test may use: a real Postgres, and a fresh database at migration head."""

from __future__ import annotations

import contextlib
import importlib
import itertools
from collections.abc import Iterator

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from fedrec.local.databases import create_database, drop_database
from fedrec.local.migrate import MIGRATIONS, upgrade
from fedrec.local.postgres import LocalPostgres

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[LocalPostgres]:
    """One server for each test process, without fsync. A test that stops or kills Postgres starts its own."""
    with LocalPostgres(fsync=False) as server:
        yield server


@pytest.fixture(scope="session")
def migrated_template(postgres: LocalPostgres) -> str:
    """The name of a database at migration head, made once."""
    url = create_database(postgres.url, "migrated")
    if any((MIGRATIONS / "versions").glob("*.py")):
        upgrade(url)
    else:
        _create_tables(url)
    return "migrated"


def _create_tables(url: str) -> None:
    """Until the first revision is written: the tables as the code has them."""
    engine = create_engine(url, poolclass=NullPool)
    for schema, module in (("aggregator", "aggregator"), ("registry", "model_registry")):
        with contextlib.suppress(ModuleNotFoundError), engine.begin() as connection:
            tables = importlib.import_module(f"services.{module}.storage.tables")
            connection.execute(text(f"CREATE SCHEMA {schema}"))
            tables.metadata.create_all(connection)


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
