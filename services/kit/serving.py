"""Run a service: `python -m services.kit.serving services.model_registry.app:create_app --port 8001`.

Instead of uvicorn's own command, which leaves things open: its access log would stand beside ours, a peer that
acknowledges but never reads would hold a connection and its buffer for ever, and see `connection`.
"""

import argparse
import ctypes
import gc
import resource
import socket

import structlog
import uvicorn

from services.kit.connection import BoundedConnection, connection_type

log = structlog.get_logger(__name__)

STALL_SECONDS = 60
"""Unread bytes close a connection after this."""
FILES_KEPT = 100
"""Open files that are not connections of clients: libraries, logs, connections to the database."""
_M_ARENA_MAX, _M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -8, -3, -1  # malloc.h
_LARGE_BYTES = 2 * 1024 * 1024
_KEPT_BYTES = 8 * 1024 * 1024  # as much as bodies of reports take by default: they are freed many at a time
_OBJECTS_BETWEEN_COLLECTIONS = 10_000
GRACE_SECONDS = 20
"""Requests that are being answered have so long when the service is asked to stop."""


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m services.kit.serving", description="Run a service over HTTP.")
    parser.add_argument("factory", help="module:function that makes the application from the environment")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, required=True, help="port to listen on; 0 takes a free one")
    parser.add_argument("--proxies", default="127.0.0.1", help="addresses whose X-Forwarded-* headers are believed")
    chosen = parser.parse_args(arguments)
    serve(chosen.factory, host=chosen.host, port=chosen.port, proxies=chosen.proxies)


def share_one_heap() -> None:
    """Let all threads allocate from one heap (glibc).

    Each thread's own heap keeps what was freed in it: reports that are read, checked and committed by
    different threads then take several times the memory that is in use. What is large has pages of its own,
    which go back when it is freed; left alone, the bound for that rises to what was freed last. Of what is
    small so much is kept: memory that goes back with every report is fetched again for the next, page by page.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def connections_allowed() -> int:
    """Raise the limit of open files as far as the process may, and leave some for the database and files."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return max(most - FILES_KEPT, 1)


def serve(factory: str, *, host: str, port: int, proxies: str = "127.0.0.1") -> None:
    """Serve until SIGTERM or SIGINT."""
    share_one_heap()
    BoundedConnection.maximum_connections = connections_allowed()
    config = uvicorn.Config(
        factory,
        factory=True,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=proxies,
        http=connection_type(),
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    with listen(host, port) as listener:
        _Server(config).run(sockets=[listener])


LEAVE = "leave"
"""Name, in an application's lifespan state, of a function that answers the requests it holds back on purpose."""


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        most = BoundedConnection.maximum_connections
        log.info("serving", connections_at_most=most)
        # What is alive now lives as long as the process. Looking through all of it, again and again, took the
        # garbage collector a tenth of the time. Requests leave no cycles, but many at a time are more objects than
        # it waits for by itself: it would look through them for nothing, several times for each batch.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # uvicorn waits for every request first, long polls too, and tells the application afterwards.
        leave = self.lifespan.state.get(LEAVE)
        if leave is not None:
            leave()
        await super().shutdown(sockets)


def listen(host: str, port: int) -> socket.socket:
    """A listening socket whose connections do not outlive readers that stopped reading.

    Accepted sockets inherit the option. It covers what no timeout of ours can: bytes that are handed to
    the operating system, and peers whose window stays closed (Linux).
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, port), family=family, backlog=2048)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALL_SECONDS * 1000)
    return listener


if __name__ == "__main__":
    main()
