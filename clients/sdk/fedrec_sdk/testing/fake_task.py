"""The fake's task: rounds that open, collect, close and publish, in memory."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from fedrec_protocol.codec import MEDIA_TYPE
from fedrec_protocol.digest import content_digest
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import (
    Assigned,
    Assignment,
    AssignmentState,
    AssignmentView,
    CheckIn,
    CheckInRequest,
    NotSelected,
    NotSelectedReason,
    ParticipantTask,
    Receipt,
    RoundKind,
    TaskState,
)
from fedrec_protocol.problems import Slug
from fedrec_protocol.secure_messages import MASKED_MEDIA_TYPE, PhaseView, SecurePhase
from fedrec_protocol.tensors import Tensors
from fedrec_sdk.testing.fake_registry import FakeRegistry, FakeVersion
from fedrec_sdk.testing.fake_reports import AcceptedReport, mean_metrics, read_report
from fedrec_sdk.testing.fake_secure import Answer, FakeSecureKeys, FakeSecureRound
from fedrec_sdk.testing.refusal import Refused

Aggregate = Callable[[Tensors, list[AcceptedReport]], Tensors]
"""Makes the next parameters from the base parameters and the reports of a round."""

TASK_ID = "task_fake"


@dataclass
class FakeRound:
    """A round and all that belongs to it."""

    number: int
    kind: RoundKind
    base: FakeVersion
    deadline: datetime
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


class FakeTask:
    """One task, from its first round to its end."""

    def __init__(self, manifest: TaskManifest, registry: FakeRegistry, aggregate: Aggregate) -> None:
        self.manifest = manifest
        self.manifest_digest = "0"
        self.registry = registry
        self.changed = threading.Condition()
        self.rounds: list[FakeRound] = []
        self.is_stopping = False
        self._is_final_measured = False
        self._aggregate = aggregate
        self.secure_keys = FakeSecureKeys()
        self._open_next()

    @property
    def open_round(self) -> FakeRound | None:
        """The round that collects reports; None once the task has ended."""
        return self.rounds[-1] if self.rounds and self.rounds[-1].is_open else None

    def view(self) -> ParticipantTask:
        """The task as its participants see it."""
        return ParticipantTask(
            task_id=TASK_ID,
            state=TaskState.ACTIVE if self.open_round else TaskState.COMPLETED,
            manifest=self.manifest,
            manifest_digest=self.manifest_digest,
            registry_url=self.registry.url,
        )

    def check_in(self, client_id: str, request: CheckInRequest, hold_seconds: float) -> CheckIn:
        """Work, or none; held until there is work, the task has ended, or the time is over."""

        def answers() -> bool:
            answer = self._answer(client_id, request)
            return isinstance(answer, Assigned) or answer.reason is NotSelectedReason.TASK_ENDED

        with self.changed:
            self.changed.wait_for(lambda: self.is_stopping or answers(), timeout=hold_seconds)
            return self._answer(client_id, request)

    def report(self, client_id: str, assignment_id: str, base_version: str | None, body: bytes) -> tuple[Receipt, bool]:
        """Count a report; says whether it was new.

        Raises:
            Refused: for whatever is wrong with it.
        """
        with self.changed:
            round_ = self._round_of(client_id, assignment_id)
            if (receipt := round_.receipts.get(assignment_id)) is not None:
                if receipt.content_digest != content_digest(body):
                    raise Refused(Slug.REPORT_CONFLICT, assignment_id)
                return receipt, False
            if not round_.is_open:
                raise Refused(Slug.ROUND_CLOSED, f"round {round_.number} is closed")
            if assignment_id in round_.expired:
                raise Refused(Slug.ASSIGNMENT_EXPIRED, assignment_id)
            if base_version not in {None, round_.base.version_id}:
                raise Refused(Slug.STALE_BASE_VERSION, f"the base is {round_.base.version_id}")
            if round_.secure is not None:
                round_.secure.put(client_id, SecurePhase.REPORTING, body)
                return self._receive(round_, assignment_id, body), True
            report = read_report(client_id, body, self.manifest, round_.kind, round_.base.tensors)
            receipt = self._count(round_, assignment_id, report, body)
            return receipt, True

    @property
    def report_media_type(self) -> str:
        """Of the task's reports."""
        return MEDIA_TYPE if self.manifest.secure_aggregation is None else MASKED_MEDIA_TYPE

    def secure_round(self, client_id: str, assignment_id: str) -> FakeSecureRound:
        """The secure round of one's own assignment.

        Raises:
            Refused: `unknown-assignment` or `no-secure-aggregation`.
        """
        secure = self._round_of(client_id, assignment_id).secure
        if secure is None:
            raise Refused(Slug.NO_SECURE_AGGREGATION, "the reports of this task are not masked")
        return secure

    def secure_answer(self, client_id: str, assignment_id: str, phase: SecurePhase, answer: Answer) -> PhaseView:
        """Take a message of a secure round; the last one publishes what came of it.

        Raises:
            Refused: for whatever is wrong with it.
        """
        with self.changed:
            view = self.secure_round(client_id, assignment_id).put(client_id, phase, answer)
            self._close_if_unmasked(self._round_of(client_id, assignment_id))
            return view

    def assignment(self, client_id: str, assignment_id: str) -> AssignmentView:
        """One's own assignment.

        Raises:
            Refused: `unknown-assignment`.
        """
        with self.changed:
            round_ = self._round_of(client_id, assignment_id)
            receipt = round_.receipts.get(assignment_id)
            is_over = not round_.is_open or assignment_id in round_.expired
            state = AssignmentState.EXPIRED if is_over else AssignmentState.OPEN
            return AssignmentView(
                assignment_id=assignment_id,
                round_id=f"round_{round_.number}",
                state=state if receipt is None else AssignmentState.REPORTED,
                receipt=receipt,
            )

    def expire_assignments(self) -> None:
        """Let the time of all open assignments be over."""
        with self.changed:
            for round_ in self.rounds:
                round_.expired |= round_.clients.keys() - round_.receipts.keys()

    def close_round(self) -> None:
        """Close the open round now, or the open phase of a secure one: publish if there are enough reports."""
        with self.changed:
            round_ = self.open_round
            if round_ is not None and round_.secure is not None:
                round_.secure.end_phase()
                self._close_if_unmasked(round_)
            elif round_ is not None:
                self._close(round_)

    def stop(self) -> None:
        """Answer everybody who waits."""
        with self.changed:
            self.is_stopping = True
            self.changed.notify_all()

    def _answer(self, client_id: str, request: CheckInRequest) -> Assigned | NotSelected:
        round_ = self.open_round
        if round_ is None:
            return _not_selected(NotSelectedReason.TASK_ENDED)
        mine = f"asg_{round_.number}_{client_id}"
        if mine in round_.receipts:
            return _not_selected(NotSelectedReason.ALREADY_REPORTED)
        if round_.kind not in request.kinds:
            return _not_selected(NotSelectedReason.NO_OPEN_ROUND)
        if mine in round_.expired:
            return _not_selected(NotSelectedReason.TOO_LATE)
        if mine not in round_.clients and len(round_.clients) >= self.manifest.rounds.cohort_size:
            return _not_selected(NotSelectedReason.COHORT_FULL)
        round_.clients[mine] = client_id
        return Assigned(assignment=self._assignment(mine, round_))

    def _assignment(self, assignment_id: str, round_: FakeRound) -> Assignment:
        return Assignment(
            assignment_id=assignment_id,
            task_id=TASK_ID,
            round_id=f"round_{round_.number}",
            round_number=round_.number,
            kind=round_.kind,
            base=self.registry.reference(round_.base),
            training=self.manifest.training,
            manifest_digest=self.manifest_digest,
            deadline=round_.deadline,
            expires_in_seconds=self.manifest.rounds.deadline_seconds,
        )

    def _round_of(self, client_id: str, assignment_id: str) -> FakeRound:
        for round_ in self.rounds:
            if round_.clients.get(assignment_id) == client_id:
                return round_
        raise Refused(Slug.UNKNOWN_ASSIGNMENT, assignment_id)

    def _count(self, round_: FakeRound, assignment_id: str, report: AcceptedReport, body: bytes) -> Receipt:
        receipt = self._receive(round_, assignment_id, body)
        round_.reports.append(report)
        if len(round_.reports) >= self.manifest.rounds.aggregation_goal:
            self._close(round_)
        return receipt

    def _receive(self, round_: FakeRound, assignment_id: str, body: bytes) -> Receipt:
        receipt = Receipt(
            report_id=f"rep_{assignment_id}",
            assignment_id=assignment_id,
            round_id=f"round_{round_.number}",
            content_digest=content_digest(body),
            accepted_at=datetime.now(UTC),
        )
        round_.receipts[assignment_id] = receipt
        return receipt

    def _close_if_unmasked(self, round_: FakeRound) -> None:
        secure = round_.secure
        if secure is None or not round_.is_open:
            return
        if secure.sum is not None:
            round_.reports.append(secure.sum)
        if secure.sum is not None or secure.abandoned:
            self._close(round_)

    def _close(self, round_: FakeRound) -> None:
        round_.is_open = False
        # A secure round has one report, the mean of everybody's, or none where it was abandoned.
        counted = len(round_.receipts) if round_.reports else 0
        if counted >= self.manifest.rounds.minimum_reports:
            round_.base.metrics = mean_metrics(self.manifest.metrics, round_.reports)
            if round_.kind is RoundKind.EVALUATION:
                self._is_final_measured = True
            else:
                self.registry.publish(self._next_parameters(round_), round_.number)
        self._open_next()
        self.changed.notify_all()

    def _next_parameters(self, round_: FakeRound) -> Tensors:
        made, floor = self._aggregate(round_.base.tensors, round_.reports), self.manifest.popularity_floor
        if floor is None:
            return made
        return floor.publish(made, round_.base.tensors, self.manifest.rounds.aggregation_goal)

    def _open_next(self) -> None:
        published = len(self.registry.versions) - 1
        base = self.registry.versions[-1]
        if published < self.manifest.stop.round_budget:
            kind = RoundKind.TRAINING
        elif self.manifest.evaluate_final and self.manifest.metrics and not self._is_final_measured:
            kind = RoundKind.EVALUATION
        else:
            return
        deadline = datetime.now(UTC) + timedelta(seconds=self.manifest.rounds.deadline_seconds)
        number = len(self.rounds) + 1
        secure = None
        if self.manifest.secure_aggregation is not None:
            secure = FakeSecureRound(
                self.secure_keys, self.manifest, kind, task_id=TASK_ID, number=number, base_digest=base.digest
            )
        self.rounds.append(FakeRound(number, kind, base, deadline, secure=secure))


def _not_selected(reason: NotSelectedReason) -> NotSelected:
    return NotSelected(reason=reason, detail=f"the fake says: {reason}", retry_after_seconds=0.05)
