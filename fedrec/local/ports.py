"""Free loopback ports that stay ours until a server listens on them, and again after it crashed."""

from __future__ import annotations

import socket

from fedrec.local.errors import LocalFailure

ANY = 0


class PortTaken(LocalFailure):
    """Somebody else uses the port."""


class ReservedPort:
    """A port bound on 127.0.0.1 without listening.

    With SO_REUSEADDR on both sides a server may bind and listen on it meanwhile; nobody gets it by asking for any
    free port, and a client is refused, not kept waiting, while no server runs.
    """

    def __init__(self, number: int = ANY) -> None:
        """Bind `number`, or a free port; raises PortTaken."""
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", number))
        except OSError as error:
            self._socket.close()
            raise PortTaken(f"port {number} cannot be used: {error.strerror}") from error
        except OverflowError as error:
            self._socket.close()
            raise PortTaken(f"port {number} cannot be used: ports are 0 to 65535") from error
        self.number: int = self._socket.getsockname()[1]

    @property
    def url(self) -> str:
        """Where a server on this port is reached."""
        return f"http://127.0.0.1:{self.number}"

    def release(self) -> None:
        """Let anybody have it."""
        self._socket.close()
