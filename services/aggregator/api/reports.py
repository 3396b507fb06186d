"""The route by which reports come in."""

import asyncio

from fastapi import APIRouter, Request, Response

from fedrec_protocol.codec import MEDIA_TYPE
from fedrec_protocol.messages import Receipt
from fedrec_protocol.secure_messages import MASKED_MEDIA_TYPE
from services.aggregator.api.access import participant_of
from services.aggregator.api.body import Announced, announced, read_body
from services.aggregator.api.body_budget import BodyBudget
from services.aggregator.api.intake import Intake, RoundIntake
from services.aggregator.api.phases import asking
from services.aggregator.api.short_cut import assignment_id_of, described
from services.aggregator.domain.errors import (
    BodyTooLarge,
    PhaseClosed,
    RoundClosed,
    StaleBaseVersion,
    Unavailable,
    UnsupportedMediaType,
)
from services.aggregator.domain.masked_reports import MaskedFormat
from services.aggregator.pipeline.asking import Asking
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.earlier_receipt import earlier_receipt
from services.aggregator.pipeline.secure.find import require_reporting
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
    who = asking(assignment_id_of(request), participant_of(request))
    expected = announced(request)
    intake: Intake = request.app.state.intake
    assignment = await intake.assignment(who)
    earlier = earlier_receipt(assignment, who.device_key, expected.sha256, request.app.state.context.now())
    if earlier is not None:
        return _answer(earlier, 200)
    try:
        receipt = await _count(request, who, expected, assignment.round_id)
    except (RoundClosed, PhaseClosed):
        # Since the assignment was handed out, or read, another process may have counted this same report.
        earlier = await _earlier(request, who, expected)
        if earlier is None:
            raise
        return _answer(earlier, 200)
    if receipt is not None:
        return _answer(receipt, 201)
    earlier = await _earlier(request, who, expected)
    if earlier is None:
        raise Unavailable("the assignment has changed meanwhile: send the report again")
    return _answer(earlier, 200)


async def _count(request: Request, who: Asking, expected: Announced, round_id: str) -> Receipt | None:
    """Read the body and count it; None if its assignment now says otherwise."""
    state = request.app.state
    context: Context = state.context
    intake: Intake = state.intake
    round_ = await intake.round(round_id)
    _require_fitting(expected, round_)
    if isinstance(round_.format, MaskedFormat):
        await asyncio.to_thread(context.db.run, "require_reporting", lambda tx: require_reporting(tx, who))
    budget: BodyBudget = state.body_budget
    budget.grow_to(2 * round_.format.maximum_body_bytes)
    async with budget.reserve(expected.length) as room:
        body = await read_body(request, expected, room)
        # Room is held until the report is durable: its values may have to be taken out of the sum again.
        return await intake.submit(round_, who, expected.sha256, body)


async def _earlier(request: Request, who: Asking, expected: Announced) -> Receipt | None:
    """The receipt that this same report has by now; raises what is held against it."""
    state = request.app.state
    assignment = await state.intake.look_up(who)
    return earlier_receipt(assignment, who.device_key, expected.sha256, state.context.now())


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
