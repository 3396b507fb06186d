"""Prometheus metrics: /metrics, and the duration of every request by route."""

import time
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SECONDS = Histogram(
    "fedrec_request_seconds",
    "Duration of a request, its bodies included",
    ["service", "method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)


def install(app: FastAPI, service: str, dependencies: Sequence[Any] = ()) -> None:
    """Measure the requests of `app` and serve all metrics of the process.

    Args:
        app: The service.
        service: Its name, a label.
        dependencies: Who may read /metrics, as FastAPI dependencies; everybody when empty.
    """

    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    app.get("/metrics", include_in_schema=False, dependencies=list(dependencies))(metrics)
    app.add_middleware(RequestSeconds, service=service)


class RequestSeconds:
    """Observes each request under its route's template, so that ids do not become labels."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500
        started = time.perf_counter()

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        finally:
            route = route_of(scope)
            _SECONDS.labels(self.service, scope["method"] if route else "", route, status).observe(
                time.perf_counter() - started
            )


def route_of(scope: Scope) -> str:
    """The template of the route that answered, e.g. `/v1/models/{model}`; empty when there was none."""
    return str(getattr(scope.get("route"), "path", ""))
