"""Assignments that this process has handed out: their first reports need no look-up."""

from collections import OrderedDict
from datetime import datetime

from fedrec_protocol.messages import Assignment, RoundState
from services.aggregator.pipeline.asking import Asking
from services.aggregator.storage.assignments import AssignmentRow

_REMEMBERED = 20_000


class HandedOut:
    """Assignments as they were when they were handed out.

    A client may have been revoked since, or have reported to another process: the commit of a report finds that out.
    """

    def __init__(self) -> None:
        self._rows: OrderedDict[str, AssignmentRow] = OrderedDict()

    def add(self, client_id: str, device_key: bytes, assignment: Assignment) -> None:
        """Remember an assignment, and forget the oldest of too many."""
        id_, ends = assignment.assignment_id, assignment.deadline
        self._rows[id_] = AssignmentRow(
            id_, assignment.round_id, client_id, ends, RoundState.COLLECTING, False, device_key, None
        )
        if len(self._rows) > _REMEMBERED:
            self._rows.popitem(last=False)

    def take(self, who: Asking, now: datetime) -> AssignmentRow | None:
        """An open assignment, once: whatever becomes of its first report, the next one is looked up."""
        row = self._rows.get(who.assignment_id)
        if row is None or (row.client_id, row.device_key) != (who.client_id, who.device_key) or row.expires_at <= now:
            return None
        return self._rows.pop(who.assignment_id)
