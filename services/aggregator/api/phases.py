"""What the routes of rounds with several phases share: who asks, and the answer that it is too early."""

from typing import Annotated

from fastapi import Depends, Response
from pydantic import BaseModel

from services.aggregator.api.access import ParticipantDep
from services.aggregator.api.parameters import AssignmentId
from services.aggregator.pipeline.asking import Asking

_POLL_SECONDS = "1"


def asking(assignment_id: AssignmentId, participant: ParticipantDep) -> Asking:
    """Whoever presents the access token, about the assignment in the path."""
    return Asking(participant.client_id, assignment_id, participant.device_key)


AskingDep = Annotated[Asking, Depends(asking)]


def documented_not_yet(progress: type[BaseModel], why: str) -> dict[int | str, dict[str, object]]:
    """The OpenAPI description of `not_yet`."""
    return {202: {"model": progress, "description": f"{why}: ask again after `Retry-After`"}}


def not_yet(progress: BaseModel) -> Response:
    """202: what is asked for is not there yet, and how far the round is."""
    return Response(progress.model_dump_json(), 202, {"Retry-After": _POLL_SECONDS}, media_type="application/json")
