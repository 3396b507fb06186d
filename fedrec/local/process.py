"""One service as a child process: started, watched, signalled and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from fedrec.local.errors import LocalFailure
from fedrec.local.guard import guard_process, release_process

READY_SECONDS = 120.0
STOP_SECONDS = 30.0


class ProcessFailed(LocalFailure):
    """A service ended or did not become ready; the message ends with its last log lines."""


class ServiceProcess:
    """A Python module run as a process of its own, with its output in a log file.

    Args:
        name: what people and log files call it.
        module: what `python -m` runs, and its arguments.
        environment: all FEDREC_ variables that it gets; other variables are inherited.
        log: where its output goes; appended to.
        url: where it answers `/readyz`; None for a process without HTTP.
    """

    def __init__(
        self,
        name: str,
        module: Sequence[str],
        environment: Mapping[str, str],
        *,
        log: Path,
        url: str | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.url = url
        self._module = list(module)
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended; a suspended process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Process id."""
        return self._running().pid

    def start(self) -> None:
        """Start it, without waiting for it to be ready."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._module],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.log.parent,
                env=_inherited_environment() | self._environment,
                start_new_session=True,  # Ctrl-C reaches the stack alone, which stops its parts in order
            )
        guard_process(self._process.pid, signal.SIGTERM)

    def wait_until_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait until `/readyz` answers 200; a process without HTTP is ready when it runs.

        Raises:
            ProcessFailed: it ended, or was not ready in time.
        """
        deadline = time.monotonic() + seconds
        while not self._is_ready():
            if time.monotonic() > deadline:
                raise ProcessFailed(f"{self.name} was not ready after {seconds:.0f} s{self._end_of_log()}")
            time.sleep(0.05)

    def require_running(self) -> None:
        """Raise ProcessFailed, with its last words, when it has ended by itself."""
        if self._process is not None and not self.is_running:
            raise ProcessFailed(self.last_words())

    def last_words(self) -> str:
        """With which status it ended, and the end of its log."""
        status = None if self._process is None else self._process.poll()
        return f"{self.name} ended with status {status}{self._end_of_log()}"

    def ask_to_stop(self) -> None:
        """Ask it to finish (SIGTERM), without waiting."""
        if self._process is not None:
            self._process.terminate()
            self._process.send_signal(signal.SIGCONT)  # a suspended process cannot hear the request

    def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Ask it to finish, wait, and kill it if it does not within `seconds`."""
        self.ask_to_stop()
        process, self._process = self._process, None
        if process is None:
            return
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        finally:
            release_process(process.pid)

    def kill(self) -> None:
        """End it at once with SIGKILL, as a crash would."""
        process = self._running()
        self._process = None
        process.kill()
        process.wait()
        release_process(process.pid)

    def suspend(self) -> None:
        """Freeze it with SIGSTOP: it keeps its connections and leases and does nothing from the return of this on."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        # One thread takes the signal and stops the others: on a busy machine they work on until it gets its turn.
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let a suspended process go on."""
        self._running().send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Stop it if it runs, start it again on the same port, and wait until it is ready."""
        self.start_again()
        self.wait_until_ready()

    def start_again(self) -> None:
        """Start it where it ran, after it has ended by itself, without waiting for it to be ready."""
        self.stop()
        self.start()

    def log_tail(self) -> str:
        """The last lines of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    def _is_ready(self) -> bool:
        self.require_running()
        if self.url is None:
            return True
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ProcessFailed(f"{self.name} is not running")
        return self._process

    def _end_of_log(self) -> str:
        return f"; the end of its log:\n{self.log_tail()}"


def _inherited_environment() -> dict[str, str]:
    """Ours, without settings of another deployment, and with one thread for numerical libraries.

    Two such threads on two busy cores make additions many times slower; a deployment starts more processes instead.
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FEDREC_")}
    threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    return inherited | threads | {"PYTHONUNBUFFERED": "1"}
