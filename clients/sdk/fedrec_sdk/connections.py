"""The connections of one participant: those that it was given, or its own."""

import threading
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from fedrec_sdk.transport import Transport

_OWN_CONNECTIONS = 16


class Connections:
    """Opens its own when they are first needed; those that were given are closed by whoever made them."""

    def __init__(self, shared: "Transport | None") -> None:
        self._shared = shared
        self._own: Transport | None = None
        self._opening = threading.Lock()

    def transport(self) -> "Transport":
        """What requests go through."""
        if self._shared is not None:
            return self._shared
        with self._opening:
            if self._own is None:
                from fedrec_sdk.transport import Transport  # noqa: PLC0415 - httpx takes 0.1 s to import

                self._own = Transport(maximum_connections=_OWN_CONNECTIONS)
            return self._own

    def close(self) -> None:
        """Close its own; asked again, it opens others."""
        with self._opening:
            if self._own is not None:
                self._own.close()
                self._own = None


def base_address(url: str) -> str:
    """A service's address, without a slash at its end.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError(f"{url!r} is not an http or https address")
    return url.rstrip("/")
