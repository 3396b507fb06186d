"""Transactions on a real Postgres."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from fedrec.local.postgres import LocalPostgres
from services.kit.db import Database, DatabaseUnavailable
from services.kit.driver import Statement, driver

_CONFLICT = Statement(text("DO $$ BEGIN RAISE EXCEPTION SQLSTATE '40001'; END $$"))
_END = Statement(text("SELECT pg_terminate_backend(pg_backend_pid(), 10000)"))


@pytest.fixture
def db(empty_database_url: str) -> Iterator[Database]:
    database = Database(empty_database_url)
    yield database
    database.dispose()


def test_a_step_that_raises_leaves_nothing_behind(db: Database) -> None:
    def step(tx: Connection) -> None:
        tx.execute(text("CREATE TABLE things (id int)"))
        raise LookupError

    with pytest.raises(LookupError):
        db.run("fail", step)
    assert db.run("look", lambda tx: tx.execute(text("SELECT to_regclass('things')")).scalar()) is None


def test_steps_that_conflict_are_run_again_until_both_have_happened(db: Database) -> None:
    db.run(
        "make", lambda tx: tx.execute(text("CREATE TABLE counters AS SELECT id, 0 AS n FROM generate_series(1, 2) id"))
    )
    both_hold_one = Barrier(2, timeout=60)
    attempts = []

    def bump(first: int, second: int) -> None:
        def step(tx: Connection) -> None:
            attempts.append(first)
            tx.execute(text("UPDATE counters SET n = n + 1 WHERE id = :id"), {"id": first})
            if len(attempts) <= 2:
                both_hold_one.wait()  # now each waits for the other: a deadlock, which Postgres breaks
            tx.execute(text("UPDATE counters SET n = n + 1 WHERE id = :id"), {"id": second})

        db.run("bump", step)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(bump, [1, 2], [2, 1]))
    assert len(attempts) == 3
    assert db.run("look", lambda tx: list(tx.execute(text("SELECT n FROM counters")).scalars())) == [2, 2]


def test_a_host_that_is_gone_without_a_word_is_noticed_within_a_minute(db: Database) -> None:
    def parameters(tx: Connection) -> dict[str, str]:
        with driver(tx) as connection:
            return connection.info.get_parameters()

    known = {name: int(value) for name, value in db.run("look", parameters).items() if value.isdigit()}
    assert known["keepalives_idle"] + known["keepalives_interval"] * known["keepalives_count"] < 60
    assert known["tcp_user_timeout"] < 60_000


def test_a_statement_that_the_driver_runs_is_part_of_its_transaction(db: Database) -> None:
    db.run("make", lambda tx: tx.execute(text("CREATE TABLE things (id int PRIMARY KEY)")))
    add, count = Statement(text("INSERT INTO things VALUES (:id)")), Statement(text("SELECT count(*) FROM things"))

    def fail(tx: Connection) -> None:
        add.run(tx, id=1)
        assert count.run(tx) == [(1,)]
        raise LookupError

    with pytest.raises(LookupError):
        db.run("fail", fail)
    db.run("add", lambda tx: add.run(tx, id=2))
    assert db.read("look", count.run) == [(1,)]


def test_a_conflict_that_the_driver_met_is_tried_again(db: Database) -> None:
    attempts = []

    def step(tx: Connection) -> int:
        attempts.append(tx)
        if len(attempts) == 1:
            _CONFLICT.run(tx)
        return 7

    assert db.run("conflict", step) == 7
    assert len(attempts) == 2


@pytest.mark.parametrize("way", ["run", "read"])
def test_a_connection_that_ends_under_the_driver_is_unavailable_and_replaced(
    db: Database, way: str, caplog: pytest.LogCaptureFixture
) -> None:
    transaction = db.run if way == "run" else db.read
    with pytest.raises(DatabaseUnavailable):
        transaction("end", _END.run)
    assert transaction("look", lambda tx: Statement(text("SELECT 1")).run(tx)) == [(1,)]
    assert not caplog.records


def test_a_database_that_is_gone_is_unavailable_and_used_again_when_it_is_back() -> None:
    with LocalPostgres(fsync=False) as postgres:
        db = Database(postgres.url)

        def look() -> object:
            return db.run("look", lambda tx: tx.execute(text("SELECT 1")).scalar())

        assert look() == 1
        postgres.kill()
        with pytest.raises(DatabaseUnavailable):
            look()
        postgres.start()
        assert look() == 1
        db.dispose()


def test_connections_that_postgres_has_ended_meanwhile_are_replaced_unnoticed(
    db: Database, empty_database_url: str
) -> None:
    def backend(tx: Connection) -> int:
        return int(tx.execute(text("SELECT pg_backend_pid()")).scalar_one())

    ended = db.run("look", backend)
    other = Database(empty_database_url)
    other.run("end", lambda tx: tx.execute(text("SELECT pg_terminate_backend(:pid, 10000)"), {"pid": ended}))
    other.dispose()
    assert db.run("look", backend) != ended


def test_a_connection_serves_many_transactions(db: Database) -> None:
    assert (
        len({db.run("look", lambda tx: tx.execute(text("SELECT pg_backend_pid()")).scalar_one()) for _ in "123"}) == 1
    )


def test_a_transaction_that_says_nothing_for_too_long_is_ended_and_its_locks_with_it(
    db: Database, empty_database_url: str
) -> None:
    hasty = Database(empty_database_url, longest_idle_seconds=1)

    def runs(pid: int) -> bool:
        query = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
        return db.run("look", lambda tx: tx.execute(query, {"pid": pid}).scalar()) == 1

    def fall_asleep(tx: Connection) -> None:
        pid = int(tx.execute(text("SELECT pg_backend_pid() FROM pg_advisory_xact_lock(1)")).scalar_one())
        while runs(pid):
            time.sleep(0.02)
        tx.execute(text("SELECT 1"))

    with pytest.raises(DatabaseUnavailable):
        hasty.run("sleep", fall_asleep)
    assert db.run("look", lambda tx: tx.execute(text("SELECT pg_try_advisory_lock(1)")).scalar()) is True
    hasty.dispose()


def test_what_was_to_be_stored_is_not_in_the_error_that_is_logged(db: Database) -> None:
    with pytest.raises(DBAPIError) as error:
        db.run("fail", lambda tx: tx.execute(text("SELECT :value / 0 FROM nowhere"), {"value": 987654321}))
    assert "nowhere" in str(error.value)
    assert "987654321" not in str(error.value)
