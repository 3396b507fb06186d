"""The one Alembic history of both services."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text
from sqlalchemy.pool import NullPool

from fedrec.local.migrate import check, configuration, downgrade, upgrade
from services.aggregator.storage.tables import metadata as aggregator_metadata
from services.model_registry.storage.tables import metadata as registry_metadata

OUR_SCHEMAS = {"aggregator", "registry"}

LOOSENED = {"registry.weights.object_key"}
"""Columns that became nullable, and are null only when no older service serves: here 90 days after the upgrade."""


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
    assert [host.wait(280) for host in hosts] == [0, 0, 0]
    check(empty_database_url)


def test_after_the_newest_revision_the_version_before_finds_what_it_reads_and_may_write_what_it_wrote(
    empty_database_url: str,
) -> None:
    newest = ScriptDirectory.from_config(configuration("")).get_revision("head")
    upgrade(empty_database_url, str(newest.down_revision))
    before = tables_of(empty_database_url)
    upgrade(empty_database_url)
    assert set(in_the_way(before, tables_of(empty_database_url))) <= LOOSENED


def test_what_would_be_in_its_way_is_found(database_url: str) -> None:
    steps = [
        "ALTER TABLE aggregator.rounds DROP COLUMN weight",
        "ALTER TABLE aggregator.rounds ALTER COLUMN weight TYPE text",
        "ALTER TABLE aggregator.rounds ALTER COLUMN weight SET NOT NULL",
        "ALTER TABLE aggregator.rounds ADD COLUMN mass integer NOT NULL",
        "ALTER TABLE aggregator.tasks ADD CHECK (name <> '')",
        "CREATE UNIQUE INDEX ON aggregator.tasks (created_at)",
        "DROP TABLE aggregator.leases",
    ]
    engine, missed = create_engine(database_url, poolclass=NullPool), []
    with engine.connect() as connection:
        before = tables(connection)
        for step in steps:
            connection.execute(text(step))
            missed += [step] if in_the_way(before, tables(connection)) == [] else []
            connection.rollback()
    assert missed == []


def tables_of(url: str) -> dict[str, dict[str, Any]]:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return tables(connection)


def tables(connection: Connection) -> dict[str, dict[str, Any]]:
    """By name, a table's columns and what refuses rows."""
    inspector, found = inspect(connection), {}
    for schema in sorted(OUR_SCHEMAS):
        for name in inspector.get_table_names(schema=schema):
            refusals = (
                inspector.get_check_constraints(name, schema=schema),
                inspector.get_foreign_keys(name, schema=schema),
                inspector.get_pk_constraint(name, schema=schema),
                [index for index in inspector.get_indexes(name, schema=schema) if index["unique"]],
            )
            columns = {column["name"]: column for column in inspector.get_columns(name, schema=schema)}
            found[f"{schema}.{name}"] = {"columns": columns, "refusals": repr(refusals)}
    return found


def in_the_way(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> list[str]:
    """What code that knows the tables of before would miss, or could not write."""
    found = []
    for name, table in before.items():
        if name not in after or after[name]["refusals"] != table["refusals"]:
            found.append(name)
            continue
        for column in {**table["columns"], **after[name]["columns"]}:
            was, is_ = table["columns"].get(column), after[name]["columns"].get(column)
            is_added = was is None and (is_["nullable"] or is_["default"] is not None)
            is_kept = was is not None and is_ is not None and shape(was) == shape(is_)
            if not (is_added or is_kept):
                found.append(f"{name}.{column}")
    return found


def shape(column: dict[str, Any]) -> tuple[str, bool, Any]:
    return str(column["type"]), column["nullable"], column["default"]
