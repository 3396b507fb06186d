"""The database is upgraded while the version before goes on serving: nobody's acknowledgement is lost."""

from __future__ import annotations

import ast
import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from fedrec.local.migrate import MIGRATIONS, configuration, run_upgrade
from fedrec.local.stack import local_stack
from tests.integration.aggregator.crowd import CROWD, SteadyLoad, assert_nothing_lost
from tests.integration.aggregator.fleet import Fleet, until
from tests.integration.aggregator.powers import powers_task
from tests.integration.test_migrations import LOOSENED

HOT_TABLES = ("tasks", "clients", "rounds", "assignments", "receipts", "partial_sums", "leases")

UNREAD = (
    "DELETE FROM aggregator.leases USING aggregator.rounds "
    "WHERE rounds.id = leases.name AND rounds.state IN ('published', 'abandoned')",
)
"""Rows that a revision may delete: a worker of an older version asks only for leases of rounds under way."""

# What a revision may do while the version before serves. It knows none of the names, so it can neither need nor
# break them; every row that it inserts gets the default.
NEXT = f'''
"""Everything that a revision may do, to every table that is written all the time."""

import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "{{head}}"


def upgrade() -> None:
    for table in {HOT_TABLES}:
        op.add_column(table, sa.Column("note", sa.String()), schema="aggregator")
        op.add_column(table, sa.Column("count", sa.Integer(), nullable=False, server_default="0"), schema="aggregator")
        op.create_index(f"ix_{{{{table}}}}_note", table, ["note"], schema="aggregator")
    op.create_table("notes", sa.Column("id", sa.String(), primary_key=True), schema="aggregator")


def downgrade() -> None:
    raise NotImplementedError
'''


def next_revision(url: str, folder: Path) -> Config:
    """Our history with one more revision."""
    config = configuration(url)
    [head] = ScriptDirectory.from_config(config).get_heads()
    (folder / "next.py").write_text(NEXT.format(head=head))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", f"{MIGRATIONS / 'versions'}\n{folder}")
    return config


@pytest.fixture
def deployment() -> Iterator[Fleet]:
    with local_stack(aggregators=2, workers=1, fsync=False) as stack:
        deployment = Fleet(stack)
        yield deployment
        deployment.close()


def test_an_upgrade_while_the_version_before_serves_loses_no_acknowledgement(deployment: Fleet, tmp_path: Path) -> None:
    task = deployment.task(**powers_task(goal=CROWD, deadline_seconds=600))
    devices = task.devices(CROWD)
    config = next_revision(deployment.postgres.url, tmp_path)
    load = SteadyLoad(devices)
    with load.running():
        until(lambda: load.acknowledged)
        run_upgrade(config, "head")
        before = len(load.acknowledged)
        until(lambda: len(load.acknowledged) > before)  # rounds go on afterwards
    assert deployment.value("SELECT count(*) FROM aggregator.rounds WHERE count = 0 AND note IS NULL")
    assert_nothing_lost(task, devices, load)


def test_a_table_that_is_held_for_long_is_asked_for_again_and_nobody_queues_meanwhile(
    database_url: str, tmp_path: Path
) -> None:
    engine = create_engine(database_url)
    config = next_revision(database_url, tmp_path)
    upgrading = threading.Thread(target=run_upgrade, args=(config, "head"))
    with engine.connect() as holder, engine.connect() as other:
        holder.execute(text("SELECT count(*) FROM aggregator.rounds"))
        upgrading.start()
        time.sleep(4.5)  # longer than a migration waits for a lock
        assert upgrading.is_alive()
        other.execute(text("SET lock_timeout = '4s'"))
        other.execute(text("SELECT count(*) FROM aggregator.rounds"))
    upgrading.join()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "next"
    engine.dispose()


def test_an_upgrade_that_a_deadlock_ends_is_tried_again(database_url: str, tmp_path: Path) -> None:
    engine = create_engine(database_url)
    first, last = HOT_TABLES[0], HOT_TABLES[-1]
    upgrading = threading.Thread(target=run_upgrade, args=(next_revision(database_url, tmp_path), "head"))
    waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'")
    with engine.connect() as holder, engine.connect() as observer:
        holder.execute(text(f"SELECT count(*) FROM aggregator.{last}"))
        upgrading.start()
        while not observer.execute(waiting).scalar():  # it has the first table, and waits for the last one
            time.sleep(0.02)
        with contextlib.suppress(OperationalError):  # Postgres ends one of the two; a service would try again
            holder.execute(text(f"SELECT count(*) FROM aggregator.{first}"))
    upgrading.join()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar() == "next"
    engine.dispose()


def revisions() -> list[Path]:
    return sorted((MIGRATIONS / "versions").glob("[0-9]*.py"))[1:]


@pytest.mark.parametrize("path", revisions(), ids=lambda path: path.stem)
def test_a_revision_only_adds_what_the_version_before_need_not_know(path: Path) -> None:
    assert refused_steps(path.read_text()) == []


@pytest.mark.parametrize(
    "step",
    [
        'op.drop_column("rounds", "weight", schema="aggregator")',
        'op.alter_column("rounds", "weight", new_column_name="mass", schema="aggregator")',
        'op.execute("ALTER TABLE aggregator.rounds RENAME TO turns")',
        'op.execute("DELETE FROM aggregator.receipts")',
        'op.add_column("rounds", sa.Column("mass", sa.Integer(), nullable=False), schema="aggregator")',
    ],
)
def test_what_the_version_before_would_miss_is_found(step: str) -> None:
    assert refused_steps(f"def upgrade() -> None:\n    {step}\n") != []


def refused_steps(source: str) -> list[str]:
    """Calls in `upgrade` that are not known to be safe while the version before serves."""
    [upgrade] = [
        node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name == "upgrade"
    ]
    calls = [node for node in ast.walk(upgrade) if isinstance(node, ast.Call)]
    return [ast.unparse(call) for call in calls if ast.unparse(call.func).startswith("op.") and not is_safe(call)]


def is_safe(call: ast.Call) -> bool:
    name = ast.unparse(call.func)
    if name == "op.add_column":
        column = call.args[1]
        assert isinstance(column, ast.Call)
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in column.keywords}
        return options.get("nullable", "True") == "True" or "server_default" in options
    if name == "op.alter_column":
        table, column = map(ast.literal_eval, call.args)
        changes = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
        return f"{changes.pop('schema', '')}.{table}.{column}" in LOOSENED and changes == {"nullable": True}
    if name == "op.execute":
        return ast.literal_eval(call.args[0]) in UNREAD
    return name in {"op.create_table", "op.create_index", "op.f"}
