"""Whether a report may be counted, and whether it was."""

from datetime import datetime

from fedrec_protocol.digest import format_digest
from fedrec_protocol.messages import Receipt, RoundState
from services.aggregator.domain.device_keys import require_current
from services.aggregator.domain.errors import AssignmentExpired, Forbidden, ReportConflict, RoundClosed
from services.aggregator.storage.assignments import AssignmentRow


def earlier_receipt(
    assignment: AssignmentRow, device_key: bytes | None, body_sha256: bytes, now: datetime
) -> Receipt | None:
    """The receipt of this same report, if it was counted before; None where it may be counted now.

    Args:
        assignment: The sender's.
        device_key: What its token is bound to; None for any key.
        body_sha256: Of the report.
        now: The time.

    Raises:
        CredentialExpired: the device's key was replaced since its token was issued.
        ReportConflict: another report was counted.
        Forbidden, RoundClosed, AssignmentExpired: it may not be counted any more.
    """
    require_current(device_key, assignment.device_key)
    if assignment.receipt is not None:
        if assignment.receipt.content_digest != format_digest(body_sha256):
            raise ReportConflict("another report was accepted for this assignment; check in for a new one")
        return assignment.receipt
    if assignment.is_revoked:
        raise Forbidden("this client was revoked by an operator")
    if assignment.round_state is not RoundState.COLLECTING:
        raise RoundClosed(f"the round is {assignment.round_state}; check in for a new assignment")
    if assignment.expires_at <= now:
        raise AssignmentExpired("the assignment's time is over; check in for a new one")
    return None
