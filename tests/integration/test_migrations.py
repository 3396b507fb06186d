"""The one Alembic history of both services."""

from __future__ import annotations

import subprocess
import sys

from sqlalchemy import create_engine, inspect
from sqlalchemy.pool import NullPool

from fedrec.local.migrate import check, downgrade, upgrade
from services.aggregator.storage.tables import metadata as aggregator_metadata
from services.model_registry.storage.tables import metadata as registry_metadata

OUR_SCHEMAS = {"aggregator", "registry"}


def schemas(url: str) -> set[str]:
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return set(inspect(connection).get_schema_names())


def test_the_tables_in_the_code_are_the_tables_in_the_database(database_url: str) -> None:
    check(database_url)


def test_upgrading_an_empty_database_makes_both_schemas_and_every_table(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    engine = create_engine(empty_database_url, poolclass=NullPool)
    with engine.connect() as connection:
        inspector = inspect(connection)
        for metadata in (aggregator_metadata, registry_metadata):
            expected = {table.name for table in metadata.tables.values()}
            assert set(inspector.get_table_names(schema=metadata.schema)) == expected


def test_downgrading_to_base_leaves_nothing_of_ours(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    downgrade(empty_database_url, "base")
    assert not schemas(empty_database_url) & OUR_SCHEMAS
    upgrade(empty_database_url)
    assert schemas(empty_database_url) >= OUR_SCHEMAS


def test_several_hosts_may_upgrade_at_once(empty_database_url: str) -> None:
    command = [sys.executable, "-c", "import sys; from fedrec.local.migrate import upgrade; upgrade(sys.argv[1])"]
    hosts = [subprocess.Popen([*command, empty_database_url]) for _ in range(3)]
    assert [host.wait(60) for host in hosts] == [0, 0, 0]
    check(empty_database_url)
