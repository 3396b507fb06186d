"""Routes by which participants ask for work and look at what became of it."""

import math
import re
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response

from fedrec_protocol.messages import (
    Assigned,
    AssignmentState,
    AssignmentView,
    CheckIn,
    CheckInRequest,
    NotSelected,
    RoundState,
)
from services.aggregator.api.access import ContextDep, ParticipantDep
from services.aggregator.api.check_in_desk import CheckInDesk
from services.aggregator.api.intake import Intake
from services.aggregator.api.parameters import AssignmentId
from services.aggregator.domain.device_keys import require_current
from services.aggregator.domain.errors import UnknownAssignment
from services.aggregator.pipeline.assign import CheckingIn
from services.aggregator.storage import assignments
from services.kit.problems import documented

router = APIRouter(prefix="/v1", tags=["participants"])

_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,5})(?:$|[,;\s])")


@router.post(
    "/check-ins",
    operation_id="checkIn",
    summary="Ask for work",
    response_model=CheckIn,
    responses=documented(400, 401, 408, 413, 422, 429, 503),
)
async def check_in(
    request: Request,
    response: Response,
    participant: ParticipantDep,
    body: CheckInRequest | None = None,
    prefer: Annotated[str, Header(description="`wait=N` lets the server hold the answer for up to N seconds")] = "",
) -> CheckIn:
    """An assignment in the open round of one's task, or when to ask again.

    Checking in again while an assignment is open answers the same assignment.
    """
    desk: CheckInDesk = request.app.state.desk
    match = _WAIT.search(prefer)
    wait = min(float(match[1]), request.app.state.settings.longest_wait_seconds) if match else 0.0
    who = CheckingIn(participant.client_id, (body or CheckInRequest()).kinds, participant.device_key)
    answer = await desk.check_in(participant.task_id, who, wait)
    if isinstance(answer, Assigned) and participant.device_key is not None:
        intake: Intake = request.app.state.intake
        intake.handed_out.add(participant.client_id, participant.device_key, answer.assignment)
    if isinstance(answer, NotSelected):
        response.headers["Retry-After"] = str(max(1, math.ceil(answer.retry_after_seconds)))
    return answer


@router.get(
    "/assignments/{assignment_id}",
    operation_id="getAssignment",
    summary="Look at one's own assignment",
    responses=documented(401, 404, 422, 429, 503),
)
def get_assignment(assignment_id: AssignmentId, participant: ParticipantDep, context: ContextDep) -> AssignmentView:
    """Whether the report is still awaited, counted (with the receipt), or too late."""
    row = context.db.run("find_assignment", lambda tx: assignments.find(tx, [assignment_id])).get(assignment_id)
    if row is None or row.client_id != participant.client_id:
        raise UnknownAssignment(f"you have no assignment {assignment_id!r}")
    require_current(participant.device_key, row.device_key)
    state = AssignmentState.OPEN
    if row.receipt is not None:
        state = AssignmentState.REPORTED
    elif row.round_state is not RoundState.COLLECTING or row.expires_at <= context.now():
        state = AssignmentState.EXPIRED
    return AssignmentView(assignment_id=row.id, round_id=row.round_id, state=state, receipt=row.receipt)
