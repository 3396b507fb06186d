"""Routes of silos whose reports are encrypted: fetch the sum of one's round, and send what it was decrypted to."""

import asyncio

from fastapi import APIRouter, Request, Response

from fedrec_protocol.encrypted_messages import ENCRYPTED_MEDIA_TYPE, DecryptionView, EncryptedSum
from services.aggregator.api.access import ContextDep, participant_of
from services.aggregator.api.body import announced, read_body
from services.aggregator.api.body_budget import BodyBudget
from services.aggregator.api.phases import AskingDep, asking, documented_not_yet, not_yet
from services.aggregator.api.short_cut import assignment_id_of, described
from services.aggregator.domain.errors import BodyTooLarge, UnsupportedMediaType
from services.aggregator.pipeline.encrypted import read
from services.aggregator.pipeline.encrypted.answer import accept, maximum_decrypted_bytes
from services.kit.problems import documented

router = APIRouter(prefix="/v1/assignments/{assignment_id}", tags=["homomorphic encryption"])

_READ = documented(401, 403, 404, 410, 422, 429, 503)
_NOT_YET = documented_not_yet(DecryptionView, "The round still collects")
_WORDS: dict[int | str, dict[str, object]] = {
    200: {"content": {ENCRYPTED_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
}
_BODY = {
    "required": True,
    "description": "The decrypted sum: four little-endian bytes a coordinate, signed.",
    "content": {ENCRYPTED_MEDIA_TYPE: {"schema": {"type": "string", "format": "binary"}}},
}


@router.get(
    "/encrypted-sum",
    response_model=EncryptedSum,
    operation_id="getEncryptedSum",
    summary="Read what the encrypted sum is of",
    responses=_READ | _NOT_YET,
)
def get_encrypted_sum(who: AskingDep, context: ContextDep) -> Response:
    """Whose reports are in the sum, once the round has closed: for silos whose reports are."""
    found = read.read_sum(context, who)
    if isinstance(found, EncryptedSum):
        return Response(found.model_dump_json(), media_type="application/json")
    return not_yet(found)


@router.get(
    "/encrypted-sum/words",
    response_class=Response,
    operation_id="getEncryptedWords",
    summary="Read the encrypted sum",
    responses=documented(401, 403, 404, 409, 410, 422, 429, 503) | _WORDS,
)
def get_encrypted_words(who: AskingDep, context: ContextDep) -> Response:
    """The ciphertexts' sum and its tags: seven little-endian bytes a word."""
    return Response(read.read_words(context, who), media_type=ENCRYPTED_MEDIA_TYPE)


@router.put(
    "/decrypted-sum",
    operation_id="putDecryptedSum",
    summary="Send what the sum was decrypted to",
    response_model=DecryptionView,
    openapi_extra=described(_BODY, {"Content-Digest": (True, "`sha-256=:<base64>:` of the body (RFC 9530)")}),
    responses=documented(400, 401, 403, 404, 408, 409, 410, 411, 413, 415, 422, 429, 503),
)
async def put_decrypted_sum(request: Request) -> Response:
    """The round goes on when so many silos as the manifest says have sent the same."""
    who = asking(assignment_id_of(request), participant_of(request))
    expected, state = announced(request), request.app.state
    if expected.media_type != ENCRYPTED_MEDIA_TYPE:
        raise UnsupportedMediaType(f"send Content-Type: {ENCRYPTED_MEDIA_TYPE}")
    most = await asyncio.to_thread(maximum_decrypted_bytes, state.context, who)
    if expected.length > most:
        raise BodyTooLarge(f"decrypted sums of this round have {most} bytes")
    budget: BodyBudget = state.body_budget
    budget.grow_to(2 * most)
    async with budget.reserve(expected.length) as room:
        body = await read_body(request, expected, room)
        view = await asyncio.to_thread(accept, state.context, who, body)
    return Response(view.model_dump_json(), media_type="application/json")
