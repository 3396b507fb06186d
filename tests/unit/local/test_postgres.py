"""The Postgres launcher, against the real server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from fedrec.local.data_lock import DataInUse, DataLock
from fedrec.local.postgres import LocalPostgres, PostgresFailed
from tests.processes import runs

STARTS_AND_WAITS = """
import time
from fedrec.local.data_lock import DataInUse, DataLock
from fedrec.local.postgres import LocalPostgres
with LocalPostgres(fsync=False) as server:
    print(server.pid, server.log.parent, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def reachable_directory() -> Iterator[Path]:
    """A directory that another user may enter, which pytest's `tmp_path` is not under root."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        Path(path).chmod(0o755)
        yield Path(path)


def execute(url: str, statement: str) -> object:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        result = connection.execute(text(statement))
        return result.scalar() if result.returns_rows else None


def eventually(is_true: Callable[[], bool], seconds: float = 120.0) -> bool:
    deadline = time.monotonic() + seconds
    while not is_true() and time.monotonic() < deadline:
        time.sleep(0.02)
    return is_true()


def test_a_fresh_server_speaks_sql_and_never_runs_as_root(postgres: LocalPostgres) -> None:
    assert execute(postgres.url, "SELECT 6 * 7") == 42
    assert Path(f"/proc/{postgres.pid}").stat().st_uid != 0


def test_the_socket_directory_is_private_and_there_is_no_network_port(postgres: LocalPostgres) -> None:
    assert postgres.log.parent.stat().st_mode & 0o777 == 0o700
    assert execute(postgres.url, "SHOW listen_addresses") == ""


def test_a_restart_keeps_the_data() -> None:
    with LocalPostgres(fsync=False) as server:
        execute(server.url, "CREATE TABLE kept AS SELECT 7 AS number")
        server.restart()
        assert execute(server.url, "SELECT number FROM kept") == 7


def test_what_was_committed_survives_a_kill_of_the_server() -> None:
    with LocalPostgres() as server:
        execute(server.url, "CREATE TABLE kept AS SELECT 7 AS number")
        server.kill()
        with pytest.raises(OperationalError):
            execute(server.url, "SELECT 1")
        server.start()
        assert execute(server.url, "SELECT number FROM kept") == 7


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A named directory in which a server has stored a 7, and ended."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        Path(path).chmod(0o755)
        home = Path(path) / "state"
        (home / "data.unfinished").mkdir(parents=True)  # what is left of an initdb that was killed
        (home / "data.unfinished" / "PG_VERSION").touch()
        with LocalPostgres(home, fsync=False) as server:
            execute(server.url, "CREATE TABLE kept AS SELECT 7 AS number")
        yield home


def test_data_in_a_named_directory_outlives_the_server_and_what_a_killed_initdb_left(home: Path) -> None:
    assert sorted(path.name for path in home.iterdir()) == ["data", "lock"]
    with LocalPostgres(home, fsync=False) as server:
        assert execute(server.url, "SELECT number FROM kept") == 7


def test_the_empty_pid_file_of_a_server_that_lost_power_as_it_started_is_removed(home: Path) -> None:
    (home / "data" / "postmaster.pid").touch()
    with LocalPostgres(home, fsync=False) as server:
        assert execute(server.url, "SELECT number FROM kept") == 7


def test_data_that_a_server_uses_is_refused_to_another_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DataLock.__init__, "__kwdefaults__", {"patience_seconds": 0.0})
    with LocalPostgres(home, fsync=False) as server:
        with pytest.raises(DataInUse, match="state is in use"), LocalPostgres(home):
            pass
        assert execute(server.url, "SELECT number FROM kept") == 7


def test_a_folder_that_is_a_file_is_refused_with_the_reason(reachable_directory: Path) -> None:
    (reachable_directory / "state").touch()
    with pytest.raises(PostgresFailed, match="state: File exists"), LocalPostgres(reachable_directory / "state"):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as somebody else")
def test_a_directory_that_the_server_user_cannot_reach_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "private").mkdir(mode=0o700)
    with pytest.raises(PostgresFailed, match="Permission denied"), LocalPostgres(tmp_path / "private" / "state"):
        pass


def test_leaving_the_block_stops_the_server_and_removes_its_directory() -> None:
    with LocalPostgres(fsync=False) as server:
        pid, directory = server.pid, server.log.parent
    assert not runs(pid)
    assert not directory.exists()


def test_a_server_that_cannot_start_says_why() -> None:
    server = LocalPostgres(fsync=False, max_connections=-1)
    with pytest.raises(PostgresFailed, match="max_connections"), server:
        pass
    assert not server.log.parent.exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_however_the_owner_dies_the_server_and_its_directory_are_gone(number: signal.Signals) -> None:
    owner = subprocess.Popen([sys.executable, "-c", STARTS_AND_WAITS], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with owner:
        assert owner.stdout is not None
        pid, directory = owner.stdout.readline().decode().split()
        assert runs(int(pid))
        owner.send_signal(number)
        owner.wait(120)
    assert eventually(lambda: not runs(int(pid)))
    assert eventually(lambda: not Path(directory).exists())
