"""What is known of every request: an id, its duration as a metric, one line in the log.

One layer for the three: each layer around the application costs a small request as much as reading it.
"""

import asyncio
import json
import logging
import random
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache

from prometheus_client import Histogram
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kit.service import Service

_QUIET = ("/healthz", "/readyz", "/metrics")
_SECONDS = Histogram(
    "fedrec_request_seconds",
    "Duration of a request, its bodies included",
    ["service", "method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
_log = logging.getLogger("access")


def install(app: Service, service: str) -> None:
    """Observe every request to `app`. Install it last: what is installed last is the outermost layer.

    Args:
        app: The service.
        service: Its name, a label of the metric.
    """
    app.wrap(lambda inner: Observation(inner, service))


def request_id(request: Request) -> str:
    """The id under which this request is logged, and which its answer carries as `X-Request-Id`."""
    return str(request.scope.get("fedrec.request_id", ""))


class Observation:
    """Gives every request an id, measures it and logs it once it was answered."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self.app = app
        self._service = service
        self._lines = _Lines()
        self._metric = lru_cache(maxsize=1024)(_SECONDS.labels)  # to find one again takes longer than to use it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope["fedrec.request_id"] = id_ = f"{random.getrandbits(64):016x}"
        status, sent = 500, 0
        started = time.perf_counter()

        async def send_and_note(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", id_.encode())]
            await send(message)
            sent += len(message.get("body", b""))

        try:
            await self.app(scope, receive, send_and_note)
        finally:
            self._note(scope, status, sent, time.perf_counter() - started)

    def _note(self, scope: Scope, status: int, sent: int, seconds: float) -> None:
        # The template, so that ids do not become labels; empty when there was no such route.
        route = str(getattr(scope.get("route"), "path", ""))
        self._metric(self._service, scope["method"] if route else "", route, status).observe(seconds)
        if scope["path"] in _QUIET or not _log.isEnabledFor(logging.INFO):
            return
        # No query, header or body. Written here: the way through the logging libraries takes four times as long,
        # which is a third of what reading a small report takes.
        self._lines.add(
            f'{{"method": "{scope["method"]}", "path": {json.dumps(scope["path"])}, "route": "{route}", '
            f'"status": {status}, "sent_bytes": {sent}, "milliseconds": {1000 * seconds:.1f}, '
            f'"request_id": "{scope["fedrec.request_id"]}", "event": "request", "level": "info", '
            f'"logger": "{_log.name}", "timestamp": '
        )


class _Lines:
    """Lines of the log. Those of one turn of the event loop have one time, and are written together."""

    def __init__(self) -> None:
        self._waiting: list[str] = []

    def add(self, beginning: str) -> None:
        """Write a line, which ends with the time, when the loop has gone round."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._write)
        self._waiting.append(beginning)

    def _write(self) -> None:
        waiting, self._waiting = self._waiting, []
        now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        sys.stderr.write("".join([f'{beginning}"{now}"}}\n' for beginning in waiting]))
