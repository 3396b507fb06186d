"""The route that takes weights in."""

import tempfile
from http import HTTPStatus
from typing import BinaryIO

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool

from fedrec_protocol.codec import MEDIA_TYPE
from fedrec_protocol.registry_messages import WeightsView
from services.kit.problems import documented
from services.model_registry.api import spool
from services.model_registry.api.access import RunDep
from services.model_registry.api.context import Context, ContextDep
from services.model_registry.api.parameters import WeightsDigest
from services.model_registry.storage import audit, weights

router = APIRouter(prefix="/v1", tags=["weights"])

_BODY = {
    "requestBody": {
        "required": True,
        "description": "A safetensors file with its Content-Length",
        "content": {MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.put(
    "/weights/{digest}",
    status_code=201,
    operation_id="putWeights",
    summary="Upload weights",
    responses=documented(400, 401, 403, 408, 411, 413, 415, 422, 429, 503)
    | {200: {"model": WeightsView, "description": "Uploaded before"}},
    openapi_extra=_BODY,
)
async def put(
    digest: WeightsDigest, request: Request, operator: RunDep, context: ContextDep, response: Response
) -> WeightsView:
    """Upload a safetensors file, under the digest that its bytes must have. Uploading it again changes nothing."""
    limits = context.settings
    length = spool.announced_length(request, limits.maximum_weights_bytes)
    with tempfile.TemporaryFile(dir=limits.spool_directory) as file:
        await spool.receive(request, file, length=length, digest=digest, timeout_seconds=limits.body_timeout_seconds)
        is_new = await run_in_threadpool(_keep, context, operator.name, digest, file)
    if not is_new:
        response.status_code = HTTPStatus.OK
    return WeightsView(digest=digest, size_bytes=length)


def _keep(context: Context, operator: str, digest: str, file: BinaryIO) -> bool:
    if context.db.run("touch_weights", lambda tx: weights.touch(tx, digest)):
        return False
    specs = spool.read_specs(file)
    with tempfile.TemporaryFile(dir=context.settings.spool_directory) as room:
        compressed = spool.compress(file, room)

        def step(tx: Connection) -> bool:
            is_new = weights.add(
                tx,
                context.home,
                digest=digest,
                tensors=specs,
                file=spool.chunks(file),
                compressed=spool.chunks(room) if compressed else None,
            )
            if is_new:
                audit.record(tx, operator, "upload weights", digest)
            return is_new

        return context.db.run("add_weights", step)
