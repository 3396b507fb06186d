"""The least that a service could do with a report: read it, hash it, answer."""

import hashlib

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


async def _read(request: Request) -> Response:
    digest = hashlib.sha256()
    async for chunk in request.stream():
        digest.update(chunk)
    return JSONResponse({"sha256": digest.hexdigest()}, 201)


async def _ready(_: Request) -> Response:
    return Response()


def create_app() -> Starlette:
    """An application for the same server as ours."""
    path = "/v1/assignments/{assignment}/report"
    return Starlette(routes=[Route(path, _read, methods=["POST"]), Route("/readyz", _ready)])
