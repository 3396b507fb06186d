"""A TCP proxy on loopback that can stop working."""

from __future__ import annotations

import contextlib
import select
import socket
import socketserver
import threading
from enum import StrEnum
from typing import Any


class Outage(StrEnum):
    """What the proxy does to every connection, those that are open too."""

    NONE = "none"
    REFUSE = "refuse"  # connections are closed
    SWALLOW = "swallow"  # requests go through, answers are lost and the connection is closed
    STALL = "stall"  # nothing goes through


class Proxy:
    """Forwards connections to another port of this machine."""

    def __init__(self, port: int) -> None:
        self.outage = Outage.NONE
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)) as upstream:
                    proxy.forward(self.request, upstream)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def forward(self, client: socket.socket, upstream: socket.socket) -> None:
        """Carry bytes both ways until one side ends or an outage ends it."""
        while self.outage is not Outage.REFUSE:
            if self.outage is Outage.STALL:
                threading.Event().wait(0.05)
                continue
            readable, _, _ = select.select([client, upstream], [], [], 0.05)
            if upstream in readable and self.outage is Outage.SWALLOW:
                return
            for source in readable:
                data = source.recv(65536)
                if not data:
                    return
                (upstream if source is client else client).sendall(data)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()
