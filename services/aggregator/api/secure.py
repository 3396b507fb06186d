"""Routes of the phases of a secure round, on a participant's own assignment.

A PUT is answered 200 for the same message again and 409 for another; a GET is answered 202 with `Retry-After`
until what it asks for is frozen, and everything 410 once it is over.
"""

from collections.abc import Callable

from fastapi import APIRouter, Response

from fedrec_protocol.secagg.messages import (
    Acknowledgement,
    Acknowledgements,
    Advert,
    Inbox,
    Reveal,
    Roster,
    Shares,
    Survivors,
)
from fedrec_protocol.secure_messages import PhaseView, SecureOffer
from services.aggregator.api.access import ContextDep
from services.aggregator.api.phases import AskingDep, documented_not_yet, not_yet
from services.aggregator.pipeline.asking import Asking
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.secure import read
from services.aggregator.pipeline.secure.answer import accept
from services.kit.problems import documented

router = APIRouter(prefix="/v1/assignments/{assignment_id}/secure", tags=["secure aggregation"])

_READ = documented(401, 404, 410, 422, 429, 503)
_NOT_YET = documented_not_yet(PhaseView, "Not frozen yet")
_WRITE = documented(400, 401, 403, 404, 408, 409, 410, 413, 422, 429, 503)


@router.get("", operation_id="getSecureOffer", summary="Read the secure round before joining it", responses=_READ)
def get_offer(who: AskingDep, context: ContextDep) -> SecureOffer:
    """The signed descriptor, whose hash is the round id, and the certificate of one's own device."""
    return read.read_offer(context, who)


@router.put("/advert", operation_id="putAdvert", summary="Join with one's keys", responses=_WRITE)
def put_advert(who: AskingDep, context: ContextDep, body: Advert) -> PhaseView:
    """Phase 1. Train first: whoever leaves after this makes the round more expensive for the others."""
    return accept(context, who, body)


@router.get(
    "/roster", response_model=Roster, operation_id="getRoster", summary="Read who joined", responses=_READ | _NOT_YET
)
def get_roster(who: AskingDep, context: ContextDep) -> Response:
    """Everybody's adverts, in the order that gives each its position."""
    return _published(read.read_roster, context, who)


@router.put("/shares", operation_id="putShares", summary="Deal shares of one's secrets", responses=_WRITE)
def put_shares(who: AskingDep, context: ContextDep, body: Shares) -> PhaseView:
    """Phase 2. Shares are sealed for their holders: the aggregator carries them, and cannot open them."""
    return accept(context, who, body)


@router.get(
    "/inbox",
    response_model=Inbox,
    operation_id="getInbox",
    summary="Read the shares dealt to oneself",
    responses=_READ | _NOT_YET,
)
def get_inbox(who: AskingDep, context: ContextDep) -> Response:
    """Who shared, and what one's neighbours sealed for oneself. The masked report comes next."""
    return _published(read.read_inbox, context, who)


@router.get(
    "/survivors",
    response_model=Survivors,
    operation_id="getSurvivors",
    summary="Read whose reports are in the sum",
    responses=_READ | _NOT_YET,
)
def get_survivors(who: AskingDep, context: ContextDep) -> Response:
    """The signed set of those whose masked reports were counted."""
    return _published(read.read_survivors, context, who)


@router.put("/acknowledgement", operation_id="putAcknowledgement", summary="Agree on the survivors", responses=_WRITE)
def put_acknowledgement(who: AskingDep, context: ContextDep, body: Acknowledgement) -> PhaseView:
    """Phase 4, the consistency check: neighbours compare what each of them was shown."""
    return accept(context, who, body)


@router.get(
    "/acknowledgements",
    response_model=Acknowledgements,
    operation_id="getAcknowledgements",
    summary="Read what one's neighbours agreed on",
    responses=_READ | _NOT_YET,
)
def get_acknowledgements(who: AskingDep, context: ContextDep) -> Response:
    """The signatures of one's neighbours over the survivors that they saw."""
    return _published(read.read_acknowledgements, context, who)


@router.put("/reveal", operation_id="putReveal", summary="Reveal one share of each secret", responses=_WRITE)
def put_reveal(who: AskingDep, context: ContextDep, body: Reveal) -> PhaseView:
    """Phase 5. A share of the seed of each survivor, of the mask key of each who left; never both of one."""
    return accept(context, who, body)


def _published(step: Callable[[Context, Asking], read.Published], context: Context, who: Asking) -> Response:
    answer = step(context, who)
    if isinstance(answer, PhaseView):
        return not_yet(answer)
    return Response(answer, media_type="application/json")
