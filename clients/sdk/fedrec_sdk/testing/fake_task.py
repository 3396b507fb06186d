"""The fake's task, as its participants find it: check-ins, reports, messages of secure rounds."""

import threading

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
    TaskState,
)
from fedrec_protocol.problems import Slug
from fedrec_protocol.secure_messages import MASKED_MEDIA_TYPE, PhaseView, SecurePhase
from fedrec_sdk.testing.fake_registry import FakeRegistry
from fedrec_sdk.testing.fake_reports import read_report
from fedrec_sdk.testing.fake_round import FakeRound, not_selected, why_no_work
from fedrec_sdk.testing.fake_rounds import Aggregate, FakeRounds
from fedrec_sdk.testing.fake_secure import Answer, FakeSecureRound
from fedrec_sdk.testing.refusal import Refused

TASK_ID = "task_fake"


class FakeTask:
    """One task, from its first round to its end."""

    def __init__(self, manifest: TaskManifest, registry: FakeRegistry, aggregate: Aggregate) -> None:
        self.manifest = manifest
        self.manifest_digest = manifest.digest
        self.registry = registry
        self.changed = threading.Condition()
        self.rounds = FakeRounds(TASK_ID, manifest, registry, aggregate)
        self.is_stopping = False
        self.is_paused = False
        self.rounds.open_next()

    @property
    def state(self) -> TaskState:
        """What the task is doing."""
        if self.rounds.open is not None:
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
            self._go_on()

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
                return round_.receive(assignment_id, body), True
            report = read_report(
                client_id,
                body,
                self.manifest,
                round_.kind,
                round_.base.tensors,
                clipping_norm=round_.clipping_norm,
            )
            receipt = round_.receive(assignment_id, body)
            self.rounds.count(round_, report)
            self._go_on()
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
            self.rounds.close_if_unmasked(self._round_of(client_id, assignment_id))
            self._go_on()
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
            for round_ in self.rounds.every:
                round_.expired |= round_.clients.keys() - round_.receipts.keys()

    def close_round(self) -> None:
        """Close the open round now, or the open phase of a secure one: publish if there are enough reports."""
        with self.changed:
            round_ = self.rounds.open
            if round_ is not None and round_.secure is not None:
                round_.secure.end_phase()
                self.rounds.close_if_unmasked(round_)
            elif round_ is not None:
                self.rounds.close(round_)
            self._go_on()

    def stop(self) -> None:
        """Answer everybody who waits."""
        with self.changed:
            self.is_stopping = True
            self.changed.notify_all()

    def _go_on(self) -> None:
        """Open the next round where the last one is over, and let those who wait look again."""
        if self.rounds.open is None and not self.is_paused:
            self.rounds.open_next()
        self.changed.notify_all()

    def _answer(self, client_id: str, request: CheckInRequest) -> Assigned | NotSelected:
        round_ = self.rounds.open
        if round_ is None:
            return not_selected(NotSelectedReason.TASK_PAUSED if self.is_paused else NotSelectedReason.TASK_ENDED)
        mine = f"asg_{round_.number}_{client_id}"
        reason = why_no_work(mine, client_id, request.kinds, self.rounds.every, self.manifest.rounds)
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
        for round_ in self.rounds.every:
            if round_.clients.get(assignment_id) == client_id:
                return round_
        raise Refused(Slug.UNKNOWN_ASSIGNMENT, assignment_id)
