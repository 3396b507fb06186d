"""An S3-compatible server on loopback."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from fedrec.local.guard import guard_process, release_process
from fedrec.local.ports import ReservedPort


@contextlib.contextmanager
def moto_server() -> Iterator[int]:
    """The port of moto's server, in a process of its own: what it holds in memory is not ours."""
    reserved = ReservedPort()
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(reserved.number)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    guard_process(server.pid)
    try:
        wait_until_answering(reserved.number)
        yield reserved.number
    finally:
        release_process(server.pid)
        server.kill()
        server.wait()
        reserved.release()


def wait_until_answering(port: int) -> None:
    for _ in range(2400):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    raise TimeoutError("the S3 server did not start")
