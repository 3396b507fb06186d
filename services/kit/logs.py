"""Logs as one JSON object a line: ours, the libraries' and one for each request."""

import logging
import sys
import time
from typing import Any, TextIO

import structlog
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.kit.metrics import route_of

_QUIET = ("/healthz", "/readyz", "/metrics")


def configure(level: str = "INFO") -> None:
    """Send all logs of the process to standard error, uvicorn's too; its access log gives way to ours."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = _StandardError()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.setLevel(level.upper())
    root.handlers = [other for other in root.handlers if not isinstance(other, _StandardError)] + [handler]
    for name, passes_on in (("uvicorn", True), ("uvicorn.error", True), ("uvicorn.access", False)):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = passes_on
    for chatty in ("httpx", "httpx2"):  # they log every address they ask
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what is standard error now, which tests and daemons replace."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def install(app: FastAPI) -> None:
    """Log every request to `app`, after it was answered."""
    app.add_middleware(AccessLog)


class AccessLog:
    """One line for each request: what was asked, the answer, how long; no query, header or body."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._log = structlog.get_logger("access")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in _QUIET:
            await self.app(scope, receive, send)
            return
        status = sent = 0
        started = time.perf_counter()

        async def send_and_note(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)
            sent += len(message.get("body", b""))

        try:
            await self.app(scope, receive, send_and_note)
        finally:
            self._log.info(
                "request",
                method=scope["method"],
                path=scope["path"],
                route=route_of(scope),
                status=status,
                sent_bytes=sent,
                milliseconds=round(1000 * (time.perf_counter() - started), 1),
                request_id=scope.get("fedrec.request_id", ""),
            )
