"""The fake's task: rounds that open, collect, close and publish, in memory."""

import threading
from collections.abc import Callable
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
from fedrec_sdk.testing.fake_registry import FakeRegistry
from fedrec_sdk.testing.fake_reports import AcceptedReport, mean_metrics, next_clipping_norm, read_report
from fedrec_sdk.testing.fake_round import FakeRound, not_selected, why_no_work
from fedrec_sdk.testing.fake_secure import Answer, FakeSecureKeys, FakeSecureRound
from fedrec_sdk.testing.refusal import Refused

Aggregate = Callable[[Tensors, list[AcceptedReport]], Tensors]
"""Makes the next parameters from the base parameters and the reports of a round."""

TASK_ID = "task_fake"


class FakeTask:
    """One task, from its first round to its end."""

    def __init__(self, manifest: TaskManifest, registry: FakeRegistry, aggregate: Aggregate) -> None:
        self.manifest = manifest
        self.manifest_digest = manifest.digest
        self.registry = registry
        self.changed = threading.Condition()
        self.rounds: list[FakeRound] = []
        self.is_stopping = False
        self.is_paused = False
        self._is_final_measured = False
        clipping = manifest.adaptive_clipping
        self._clipping_norm = None if clipping is None else clipping.initial_norm
        self._aggregate = aggregate
        self.secure_keys = FakeSecureKeys()
        self._open_next()

    @property
    def open_round(self) -> FakeRound | None:
        """The round that collects reports; None once the task has ended."""
        return self.rounds[-1] if self.rounds and self.rounds[-1].is_open else None

    @property
    def state(self) -> TaskState:
        """What the task is doing."""
        if self.open_round is not None:
            return TaskState.ACTIVE
        return TaskState.PAUSED if self.is_paused else TaskState.COMPLETED

    def pause(self) -> None:
        """Open no round after the one that is open."""
        with self.changed:
            self.is_paused = True

    def resume(self) -> None:
        """Open rounds again."""
        with self.changed:
            self.is_paused = False
            if self.open_round is None:
                self._open_next()
            self.changed.notify_all()

    def view(self) -> ParticipantTask:
        """The task as its participants see it."""
        return ParticipantTask(
            task_id=TASK_ID,
            state=self.state,
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
            report = read_report(
                client_id,
                body,
                self.manifest,
                round_.kind,
                round_.base.tensors,
                clipping_norm=round_.clipping_norm,
            )
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
            return not_selected(NotSelectedReason.TASK_PAUSED if self.is_paused else NotSelectedReason.TASK_ENDED)
        mine = f"asg_{round_.number}_{client_id}"
        reason = why_no_work(mine, client_id, request.kinds, self.rounds, self.manifest.rounds)
        if reason is not None:
            return not_selected(reason)
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
            clipping_norm=round_.clipping_norm,
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
            self._clipping_norm = next_clipping_norm(self.manifest, round_.clipping_norm, round_.reports)
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
        if self.is_paused:
            return
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
        norm = self._clipping_norm if kind is RoundKind.TRAINING else None
        self.rounds.append(FakeRound(number, kind, base, deadline, norm, secure=secure))
