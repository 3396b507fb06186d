"""The route by which reports come in."""

import asyncio

from fastapi import APIRouter, Request, Response

from fedrec_protocol.codec import MEDIA_TYPE
from fedrec_protocol.digest import format_digest
from fedrec_protocol.messages import Receipt, RoundState
from fedrec_protocol.secure_messages import MASKED_MEDIA_TYPE
from services.aggregator.api.access import participant_of
from services.aggregator.api.body import Announced, announced, read_body
from services.aggregator.api.body_budget import BodyBudget
from services.aggregator.api.intake import Intake, RoundIntake
from services.aggregator.api.short_cut import assignment_id_of, described
from services.aggregator.domain.device_keys import require_current
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
from services.aggregator.pipeline.asking import Asking
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.secure.find import require_reporting
from services.aggregator.storage.assignments import AssignmentRow
from services.kit.problems import documented

router = APIRouter(prefix="/v1", tags=["participants"])

_BODY = {
    "required": True,
    "description": "A safetensors file with exactly the tensors that the manifest names; in a task with secure "
    "aggregation the masked vector, b / 8 little-endian bytes a coordinate.",
    "content": {
        MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}},
        MASKED_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}},
    },
}
_HEADERS = {
    "Content-Digest": (True, "`sha-256=:<base64>:` of the body (RFC 9530)"),
    "Fedrec-Base-Version": (False, "The version that was trained from; refused unless it is the assignment's"),
}


@router.post(
    "/assignments/{assignment_id}/report",
    status_code=201,
    operation_id="report",
    summary="Report what was learnt",
    response_model=Receipt,
    openapi_extra=described(_BODY, _HEADERS),
    responses={
        200: {"model": Receipt, "description": "This same report was counted before"},
        **documented(400, 401, 403, 404, 408, 409, 410, 411, 413, 415, 422, 429, 503),
    },
)
async def report(request: Request) -> Response:
    """Count a report. 201 means: it is durable, and counted exactly once.

    The same body again answers 200 with the same receipt; a different one is a conflict.
    """
    participant = participant_of(request)
    client_id = participant.client_id
    assignment_id = assignment_id_of(request)
    expected = announced(request)
    state = request.app.state
    intake: Intake = state.intake
    assignment = await intake.assignment(assignment_id)
    if assignment is None or assignment.client_id != client_id:
        raise UnknownAssignment(f"you have no assignment {assignment_id!r}")
    require_current(participant.device_key, assignment.device_key)
    if assignment.receipt is not None:
        if assignment.receipt.content_digest != format_digest(expected.sha256):
            raise ReportConflict("another report was accepted for this assignment; check in for a new one")
        return _answer(assignment.receipt, 200)
    _require_open(assignment, state.context)
    round_ = await intake.round(assignment.round_id)
    _require_fitting(expected, round_)
    if isinstance(round_.format, MaskedFormat):
        who = Asking(client_id, assignment_id, participant.device_key)
        await asyncio.to_thread(state.context.db.run, "require_reporting", lambda tx: require_reporting(tx, who))
    budget: BodyBudget = state.body_budget
    budget.grow_to(2 * round_.format.maximum_body_bytes)
    async with budget.reserve(expected.length) as room:
        body = await read_body(request, expected, room)
        # Room is held until the report is durable: its values may have to be taken out of the sum again.
        return _answer(await intake.submit(round_, assignment_id, expected.sha256, body), 201)


def _require_open(assignment: AssignmentRow, context: Context) -> None:
    if assignment.is_revoked:
        raise Forbidden("this client was revoked by an operator")
    if assignment.round_state is not RoundState.COLLECTING:
        raise RoundClosed(f"the round is {assignment.round_state}; check in for a new assignment")
    if assignment.expires_at <= context.now():
        raise AssignmentExpired("the assignment's time is over; check in for a new one")


def _require_fitting(expected: Announced, round_: RoundIntake) -> None:
    """Refuse by the headers what would be refused by the body."""
    if expected.media_type != round_.format.media_type:
        raise UnsupportedMediaType(f"reports of this round are {round_.format.media_type}")
    if expected.base_version not in {None, round_.round.base.version_id}:
        raise StaleBaseVersion(f"the assignment trains from version {round_.round.base.version_id}")
    if expected.length > round_.format.maximum_body_bytes:
        raise BodyTooLarge(f"reports of this round have at most {round_.format.maximum_body_bytes} bytes")


def _answer(receipt: Receipt, status: int) -> Response:
    return Response(receipt.model_dump_json(), status, media_type="application/json")
