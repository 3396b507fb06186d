"""Nothing outlives the process that started it, however that process ends.

`atexit` and `finally` do not run after `kill -9`, so a small watcher process holds the reading end of a pipe whose
writing end only we have. The kernel closes our end when we die of anything at all; the watcher reads end-of-file,
stops every process it was told about and removes every directory it was told about. It keeps a pidfd of each
process, so a recycled process id is never signalled.

`PR_SET_PDEATHSIG` would be shorter, but it fires when the *thread* that forked ends, is cleared by the change of
user that Postgres needs under root, and exists on Linux only.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

GRACE_SECONDS = 5.0
"""How long a guarded process has between its stop signal and SIGKILL once its owner died."""

_starting = threading.Lock()
_pipe: int | None = None


def guard_process(pid: int, stop_signal: signal.Signals = signal.SIGTERM) -> None:
    """Have `pid` stopped with `stop_signal` (then SIGKILL) if this process ends without `release_process`."""
    _tell(f"process {pid} {stop_signal.value}")


def release_process(pid: int) -> None:
    """Forget `pid`; call it before waiting for the process, so that the id still belongs to it."""
    _tell(f"release {pid}")


def guard_directory(path: Path) -> None:
    """Have `path` removed if this process ends without `release_directory`."""
    _tell(f"directory {path}")


def release_directory(path: Path) -> None:
    """Forget `path`."""
    _tell(f"keep {path}")


@contextlib.contextmanager
def temporary_directory(prefix: str, parent: Path | None = None) -> Iterator[Path]:
    """A private directory for the block, removed however this process ends; by default where temporary files go."""
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent, ignore_cleanup_errors=True) as name:
        path = Path(name)
        guard_directory(path)
        try:
            yield path
        finally:
            release_directory(path)


def _tell(line: str) -> None:
    with _starting:
        pipe = _pipe if _pipe is not None else _start_watcher()
    os.write(pipe, f"{line}\n".encode())


def _start_watcher() -> int:
    global _pipe
    reading, _pipe = os.pipe()
    watcher = subprocess.Popen(
        [sys.executable, "-I", "-S", __file__],
        stdin=reading,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd="/",
        start_new_session=True,  # out of reach of the terminal's Ctrl-C
    )
    os.close(reading)
    atexit.register(_end_watcher, watcher)
    # A forked child must not keep the pipe open: its parent's death would go unnoticed.
    os.register_at_fork(after_in_child=_disown_watcher)
    return _pipe


def _end_watcher(watcher: subprocess.Popen[bytes]) -> None:
    if _pipe is not None:
        os.close(_pipe)
        watcher.wait()


def _disown_watcher() -> None:
    global _pipe  # noqa: PLW0603 - see _start_watcher
    if _pipe is not None:
        os.close(_pipe)
        _pipe = None


class _Watched:
    """A process known by pidfd where the system has them, and by its id elsewhere."""

    def __init__(self, pid: int, stop_signal: int) -> None:
        self.pid = pid
        self.stop_signal = stop_signal
        self.pidfd = os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None

    def send(self, number: int) -> None:
        """Send a signal, if the process is still there."""
        with contextlib.suppress(ProcessLookupError):
            if self.pidfd is None:
                os.kill(self.pid, number)
            else:
                signal.pidfd_send_signal(self.pidfd, number)

    def is_alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        if self.pidfd is not None:
            return not select.select([self.pidfd], [], [], 0)[0]
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        return True


def _watch(lines: Iterator[str]) -> None:
    processes: dict[int, _Watched] = {}
    directories: set[str] = set()
    for line in lines:
        verb, _, rest = line.rstrip("\n").partition(" ")
        if verb == "process":
            pid, number = map(int, rest.split())
            with contextlib.suppress(ProcessLookupError):
                processes[pid] = _Watched(pid, number)
        elif verb == "release":
            processes.pop(int(rest), None)
        elif verb == "directory":
            directories.add(rest)
        else:
            directories.discard(rest)
    _stop_all(list(processes.values()))
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


def _stop_all(processes: list[_Watched]) -> None:
    """Last started, first stopped; whoever ignores the request is killed."""
    for process in reversed(processes):
        process.send(process.stop_signal)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(process.is_alive() for process in processes) and time.monotonic() < deadline:
        time.sleep(0.02)
    for process in processes:
        process.send(signal.SIGKILL)


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    _watch(iter(sys.stdin.readline, ""))
