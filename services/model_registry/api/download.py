"""Routes that hand out weights."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import structlog
from fastapi import APIRouter, Request, Response
from starlette.responses import Content, StreamingResponse
from starlette.types import Receive, Scope, Send

from fedrec_protocol.codec import MEDIA_TYPE
from services.kit.objects import ObjectMissing
from services.kit.problems import documented
from services.model_registry.api.access import CallerDep
from services.model_registry.api.context import Context, ContextDep
from services.model_registry.api.parameters import VersionId
from services.model_registry.api.pieces import Places
from services.model_registry.api.representation import Representation, represent
from services.model_registry.domain.callers import Caller
from services.model_registry.domain.errors import Unavailable, UnknownVersion
from services.model_registry.storage import weights
from services.model_registry.storage.weights import StoredWeights

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/v1", tags=["weights"])

_FILE = {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}
_ANSWERS: dict[int | str, dict[str, Any]] = documented(401, 404, 410, 416, 422, 429, 503) | {
    200: {"description": "The safetensors file; its ETag is its SHA-256 in hexadecimal", "content": _FILE},
    206: {"description": "The part that `Range` asks for", "content": _FILE},
    304: {"description": "The client has these weights"},
}


@router.get(
    "/versions/{version_id}/weights",
    operation_id="getWeights",
    summary="Download weights",
    response_class=Response,
    responses=_ANSWERS,
)
def get(version_id: VersionId, request: Request, caller: CallerDep, context: ContextDep) -> Response:
    """The weights of a version: they never change, so keep them.

    Answers 304 to `If-None-Match`, and 206 to `Range` (one range, with `If-Range`), so that a broken
    download can go on. `Accept-Encoding: zstd` gets a compressed file where that is much smaller.
    """
    chosen = represent(_stored(context, caller, version_id), request.headers)
    if chosen.status == 304:
        return Response(status_code=304, headers=dict(chosen.headers))
    pieces = context.pieces.range(chosen.object_key, chosen.start, chosen.end)
    return Download(chosen, pieces, context.places, context.settings.stall_timeout_seconds)


@router.head(
    "/versions/{version_id}/weights",
    operation_id="headWeights",
    summary="Look at weights",
    response_class=Response,
    responses=documented(401, 404, 410, 422, 429, 503) | {200: {"description": "Size and ETag"}},
)
def head(version_id: VersionId, request: Request, caller: CallerDep, context: ContextDep) -> Response:
    """What GET answers, without the file."""
    chosen = represent(_stored(context, caller, version_id), request.headers, is_head=True)
    return Response(status_code=chosen.status, headers=dict(chosen.headers))


class Download(StreamingResponse):
    """A body of pieces, to a client that keeps reading."""

    def __init__(
        self,
        chosen: Representation,
        pieces: AsyncIterator[bytes | memoryview],
        places: Places,
        stall_timeout_seconds: float,
    ) -> None:
        super().__init__(pieces, chosen.status, dict(chosen.headers))
        self._places = places
        self._stall_timeout = stall_timeout_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; `Overloaded` when too many downloads are being served."""
        with self._places.one():
            await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        """Send the pieces; whoever stops reading is left. Where there is not even the first, that can still be said."""
        pieces = aiter(self.body_iterator)
        piece = await self._next(pieces)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        while piece is not None:
            try:
                async with asyncio.timeout(self._stall_timeout):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            except TimeoutError:
                log.info("download stalled")
                return  # an incomplete answer: the server closes the connection
            piece = await self._next(pieces)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _next(self, pieces: AsyncIterator[Content]) -> Content | None:
        try:
            return await anext(pieces, None)
        except ObjectMissing as error:
            log.exception("weights are missing: restore the objects from a backup", object_key=str(error))
            raise Unavailable("the weights of this version are lost until an operator restores them") from error


def _stored(context: Context, caller: Caller, version_id: str) -> StoredWeights:
    today = context.clock.now().date()
    found = context.db.run("find_weights", lambda tx: weights.of_version(tx, version_id, today, caller.may_see))
    if found is None:
        raise UnknownVersion(f"there is no version {version_id!r}")
    return found
