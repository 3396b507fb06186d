"""The fake's round: who is in it, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fedrec_protocol.digest import content_digest
from fedrec_protocol.manifest import RoundPolicy
from fedrec_protocol.messages import NotSelected, NotSelectedReason, Receipt, RoundKind
from fedrec_sdk.testing.fake_registry import FakeVersion
from fedrec_sdk.testing.fake_reports import AcceptedReport
from fedrec_sdk.testing.fake_secure import FakeSecureRound


@dataclass
class FakeRound:
    """A round and all that belongs to it."""

    number: int
    kind: RoundKind
    base: FakeVersion
    deadline: datetime
    clipping_norm: float | None = None
    """This round's bound on an update, where clipping is adaptive."""
    clients: dict[str, str] = field(default_factory=dict)
    """Client by assignment."""
    expired: set[str] = field(default_factory=set)
    """Assignments whose time is over."""
    receipts: dict[str, Receipt] = field(default_factory=dict)
    """Receipt by assignment."""
    reports: list[AcceptedReport] = field(default_factory=list)
    """What was counted."""
    is_open: bool = True
    secure: FakeSecureRound | None = None
    """Its masks and phases; None for a plain round."""

    def receive(self, assignment_id: str, body: bytes) -> Receipt:
        """Take a report; its receipt."""
        receipt = Receipt(
            report_id=f"rep_{assignment_id}",
            assignment_id=assignment_id,
            round_id=f"round_{self.number}",
            content_digest=content_digest(body),
            accepted_at=datetime.now(UTC),
        )
        self.receipts[assignment_id] = receipt
        return receipt

    @property
    def reporters(self) -> set[str]:
        """Clients whose report was counted."""
        return {self.clients[assignment_id] for assignment_id in self.receipts}


def why_no_work(
    assignment_id: str, client_id: str, kinds: Sequence[RoundKind], rounds: Sequence[FakeRound], policy: RoundPolicy
) -> NotSelectedReason | None:
    """Why a client gets no assignment in the last of these rounds, which is open; None where it does.

    Args:
        assignment_id: What its assignment is called, or would be.
        client_id: Who asks.
        kinds: Kinds of round that it takes part in.
        rounds: The task's rounds, oldest first.
        policy: The task's caps.
    """
    round_ = rounds[-1]
    past = [other.number for other in rounds if client_id in other.reporters]
    is_new = assignment_id not in round_.clients
    reasons = {
        NotSelectedReason.ALREADY_REPORTED: assignment_id in round_.receipts,
        NotSelectedReason.NO_OPEN_ROUND: round_.kind not in kinds,
        NotSelectedReason.TOO_LATE: assignment_id in round_.expired,
        NotSelectedReason.PARTICIPATION_CAP: len(past) >= (policy.maximum_participations or len(rounds) + 1),
        NotSelectedReason.TOO_SOON: bool(past) and round_.number - past[-1] < policy.minimum_separation,
        NotSelectedReason.COHORT_FULL: is_new and len(round_.clients) >= policy.cohort_size,
    }
    return next((reason for reason, holds in reasons.items() if holds), None)


def not_selected(reason: NotSelectedReason) -> NotSelected:
    """No work, and when to ask again."""
    return NotSelected(reason=reason, detail=f"the fake says: {reason}", retry_after_seconds=0.05)
