"""The route by which reports come in."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from fedrec_protocol.codec import MEDIA_TYPE
from fedrec_protocol.digest import format_digest
from fedrec_protocol.messages import Receipt, RoundState
from fedrec_protocol.secure_messages import MASKED_MEDIA_TYPE
from services.aggregator.api.access import ContextDep, ParticipantDep
from services.aggregator.api.body import MemoryBudget, announced, read_body
from services.aggregator.api.intake import Intake
from services.aggregator.api.parameters import AssignmentId
from services.aggregator.domain.errors import (
    AssignmentExpired,
    BodyTooLarge,
    Forbidden,
    ReportConflict,
    RoundClosed,
    StaleBaseVersion,
    UnknownAssignment,
    UnsupportedMediaType,
)
from services.aggregator.domain.masked_reports import MaskedFormat
from services.aggregator.pipeline.secure.find import Asking, require_reporting
from services.kit.problems import documented

router = APIRouter(prefix="/v1", tags=["participants"])

_BODY = {
    "requestBody": {
        "required": True,
        "description": "A safetensors file with exactly the tensors that the manifest names; in a task with secure "
        "aggregation the masked vector, b / 8 little-endian bytes a coordinate.",
        "content": {
            MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}},
            MASKED_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.post(
    "/assignments/{assignment_id}/report",
    status_code=201,
    operation_id="report",
    summary="Report what was learnt",
    openapi_extra=_BODY,
    responses={
        200: {"model": Receipt, "description": "This same report was counted before"},
        **documented(400, 401, 403, 404, 408, 409, 410, 411, 413, 415, 422, 429, 503),
    },
)
async def report(
    request: Request,
    response: Response,
    assignment_id: AssignmentId,
    participant: ParticipantDep,
    context: ContextDep,
    content_digest: Annotated[
        str | None, Header(description="`sha-256=:<base64>:` of the body (RFC 9530); required")
    ] = None,
    fedrec_base_version: Annotated[
        str | None, Header(description="The version that was trained from; refused unless it is the assignment's")
    ] = None,
) -> Receipt:
    """Count a report. 201 means: it is durable, and counted exactly once.

    The same body again answers 200 with the same receipt; a different one is a conflict.
    """
    intake: Intake = request.app.state.intake
    expected = announced(request)
    assignment = await intake.assignment(assignment_id)
    if assignment is None or assignment.client_id != participant.client_id:
        raise UnknownAssignment(f"you have no assignment {assignment_id!r}")
    if assignment.receipt is not None:
        if assignment.receipt.content_digest != format_digest(expected.sha256):
            raise ReportConflict("another report was accepted for this assignment; check in for a new one")
        response.status_code = 200
        return assignment.receipt
    if assignment.is_revoked:
        raise Forbidden("this client was revoked by an operator")
    if assignment.round_state is not RoundState.COLLECTING:
        raise RoundClosed(f"the round is {assignment.round_state}; check in for a new assignment")
    if assignment.expires_at <= context.now():
        raise AssignmentExpired("the assignment's time is over; check in for a new one")
    round_ = await intake.round(assignment.round_id)
    if expected.media_type != round_.format.media_type:
        raise UnsupportedMediaType(f"reports of this round are {round_.format.media_type}")
    if isinstance(round_.format, MaskedFormat):
        who = Asking(participant.client_id, assignment_id)
        await asyncio.to_thread(context.db.run, "require_reporting", lambda tx: require_reporting(tx, who))
    if fedrec_base_version not in {None, round_.round.base.version_id}:
        raise StaleBaseVersion(f"the assignment trains from version {round_.round.base.version_id}")
    if expected.length > round_.format.maximum_body_bytes:
        raise BodyTooLarge(f"reports of this round have at most {round_.format.maximum_body_bytes} bytes")
    budget: MemoryBudget = request.app.state.body_budget
    budget.grow_to(2 * round_.format.maximum_body_bytes)
    async with budget.reserve(expected.length):
        body = await read_body(request, expected, request.app.state.settings.body_timeout_seconds)
        # Room is held until the report is durable: its values may have to be taken out of the sum again.
        return await intake.submit(round_, assignment_id, expected.sha256, body)
