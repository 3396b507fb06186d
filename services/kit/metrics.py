"""Prometheus metrics of the process at /metrics."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest


def install(app: FastAPI, dependencies: Sequence[Any] = ()) -> None:
    """Serve all metrics of the process.

    Args:
        app: The service.
        dependencies: Who may read /metrics, as FastAPI dependencies; everybody when empty.
    """

    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    app.get("/metrics", include_in_schema=False, dependencies=list(dependencies))(metrics)
