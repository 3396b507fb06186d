"""Assign participants to the open round of their task, many in one transaction."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from fedrec_protocol.messages import (
    Assigned,
    Assignment,
    NotSelected,
    NotSelectedReason,
    RoundKind,
    RoundState,
    TaskState,
)
from fedrec_protocol.secure_messages import SecurePhase
from services.aggregator.domain import pacing
from services.aggregator.domain.cohort import draw_cohort
from services.aggregator.domain.device_keys import require_current
from services.aggregator.domain.eligibility import why_not_eligible
from services.aggregator.domain.errors import CredentialExpired, RoundClosed, Unauthenticated
from services.aggregator.domain.rounds import Round
from services.aggregator.domain.tasks import Task
from services.aggregator.pipeline.context import Context
from services.aggregator.storage import assignments, credentials, rounds, secure_rounds, tasks
from services.aggregator.storage.assignments import AssignmentRow
from services.aggregator.storage.credentials import Client
from services.kit.ids import new_id


@dataclass(frozen=True)
class CheckingIn:
    """A participant that asks for work."""

    client_id: str
    kinds: tuple[RoundKind, ...]
    device_key: bytes | None = None
    """The key that its token is bound to."""


Answer = Assigned | NotSelected | CredentialExpired | Unauthenticated
"""What one of those who ask together is told; an exception is raised for that one only."""


def assign(context: Context, task_id: str, asking: Sequence[CheckingIn], participants: float = 0) -> list[Answer]:
    """Answer participants of one task, in order: an assignment each while there is room.

    Asking again while an assignment is open gives the same assignment. `participants` is how many distinct ones
    asked recently: the more, the longer those stay away who get no work.
    """

    def step(tx: Connection) -> list[Answer]:
        task = tasks.get(tx, task_id)
        round_ = rounds.current(tx, task_id)
        pace = _Pace.of(tx, context, task, round_, participants=participants, asking=len(asking))
        clients = credentials.clients_of(tx, [who.client_id for who in asking])
        refused = [_unwelcome(who, clients.get(who.client_id), pace) for who in asking]
        welcome = [who for who, refusal in zip(asking, refused, strict=True) if refusal is None]
        answers = iter(_answers(tx, context, task, round_, pace=pace, asking=welcome))
        return [next(answers) if refusal is None else refusal for refusal in refused]

    return context.db.run("assign", step)


def _unwelcome(
    who: CheckingIn, client: Client | None, pace: "_Pace"
) -> NotSelected | CredentialExpired | Unauthenticated | None:
    """The refusal of who may not take part, or whose token is one of a key that its device has replaced."""
    if client is None:  # it enrolled after the backup that this database was restored from
        return Unauthenticated("this device is not known here: enrol again")
    try:
        require_current(who.device_key, client.public_key)
    except CredentialExpired as error:
        return error
    return pace.refuse(NotSelectedReason.REVOKED, who) if client.is_revoked else None


def _answers(
    tx: Connection, context: Context, task: Task, round_: Round | None, *, pace: "_Pace", asking: Sequence[CheckingIn]
) -> list[Assigned | NotSelected]:
    closed = _why_closed(task, round_)
    if closed is not None or round_ is None:
        return [pace.refuse(closed or NotSelectedReason.NO_OPEN_ROUND, who) for who in asking]
    try:
        return _Desk(context, tx, task, round_, pace).answer(asking)
    except RoundClosed:  # since it was read
        return [pace.refuse(NotSelectedReason.NO_OPEN_ROUND, who) for who in asking]


def _why_closed(task: Task, round_: Round | None) -> NotSelectedReason | None:
    collecting = round_ is not None and round_.state is RoundState.COLLECTING
    if task.state is TaskState.COMPLETED:
        return NotSelectedReason.TASK_ENDED
    if collecting:
        return None
    is_stopped = task.state in {TaskState.PAUSED, TaskState.FAILED}
    return NotSelectedReason.TASK_PAUSED if is_stopped else NotSelectedReason.NO_OPEN_ROUND


@dataclass(frozen=True)
class _Pace:
    """When those who get no work should ask again."""

    demand: pacing.Demand
    asking: int
    round_number: int

    @classmethod
    def of(
        cls, tx: Connection, context: Context, task: Task, newest: Round | None, *, participants: float, asking: int
    ) -> "_Pace":
        policy, seconds = task.manifest.rounds, 0.0
        if newest is None:
            return cls(pacing.Demand(participants, policy.cohort_size, seconds), asking, 0)
        if pacing.is_crowd(participants, policy.cohort_size):
            seconds = min(rounds.mean_seconds(tx, newest, context.now()), policy.deadline_seconds)
        return cls(pacing.Demand(participants, policy.cohort_size, seconds), asking, newest.number)

    def refuse(self, reason: NotSelectedReason, who: CheckingIn) -> NotSelected:
        seconds = pacing.retry_after_seconds(
            reason, who.client_id, self.demand, asking=self.asking, round_number=self.round_number
        )
        return NotSelected(reason=reason, detail=pacing.DETAIL[reason], retry_after_seconds=seconds)


class _Desk:
    """One transaction's view of a collecting round."""

    def __init__(self, context: Context, tx: Connection, task: Task, round_: Round, pace: _Pace) -> None:
        self._context, self._tx, self._task, self._round, self._pace = context, tx, task, round_, pace
        self._now = context.now()

    def answer(self, asking: Sequence[CheckingIn]) -> list[Assigned | NotSelected]:
        self._take_turn()
        ids = [who.client_id for who in asking]
        existing = assignments.of_clients(self._tx, self._round.id, ids)
        fresh = [who for who in asking if who.client_id not in existing]
        refused = self._refused(fresh)
        chosen = self._choose([who.client_id for who in fresh if who.client_id not in refused])
        answers: list[Assigned | NotSelected] = []
        for who in asking:
            if who.client_id in existing:
                answers.append(self._existing(who, existing[who.client_id]))
            elif who.client_id in chosen:
                answers.append(self._assigned(chosen[who.client_id], self._expiry()))
            else:
                full = NotSelectedReason.COHORT_FULL if self._round.drawn is None else NotSelectedReason.NOT_DRAWN
                reason = refused.get(who.client_id, full)
                answers.append(self._pace.refuse(reason, who))
        return answers

    def _take_turn(self) -> None:
        """One process at a time counts and fills the cohort; a lock on the round's row would stop reports."""
        key = int.from_bytes(hashlib.blake2b(self._round.id.encode(), digest_size=8).digest(), "big", signed=True)
        self._tx.execute(select(func.pg_advisory_xact_lock(key)))
        rounds.require_collecting(self._tx, self._round.id)

    def _refused(self, fresh: Sequence[CheckingIn]) -> dict[str, NotSelectedReason]:
        ids = [who.client_id for who in fresh]
        policy = self._task.manifest.rounds
        capped = policy.maximum_participations is not None or policy.minimum_separation > 1
        past = assignments.participations(self._tx, ids) if capped else {}
        refused = {}
        for who in fresh:
            if self._round.kind not in who.kinds:
                refused[who.client_id] = NotSelectedReason.NO_OPEN_ROUND
            elif who.client_id in past:
                before = past[who.client_id]
                reason = why_not_eligible(policy, self._round, before.reports, before.last_round)
                if reason is not None:
                    refused[who.client_id] = reason
        return refused

    def _choose(self, candidates: list[str]) -> dict[str, str]:
        """Assignment ids of those who get one, by client id; a draw that the task's seed repeats."""
        policy = self._task.manifest.rounds
        live = rounds.live_assignments(self._tx, self._round.id, self._now)
        issued = assignments.issued_count(self._tx, self._round.id)
        room = max(min(policy.cohort_size - live, policy.maximum_reports - issued), 0)
        if self._round.drawn is not None or not self._is_joinable():
            room = 0
        seed, number = self._task.manifest.seed, self._round.number
        drawn = draw_cohort(candidates, seed=seed, round_number=number, places=room)
        rows = [(new_id("asg"), client_id) for client_id in drawn]
        assignments.insert_many(self._tx, rows, self._round.id, self._now, self._expiry())
        return {client_id: id_ for id_, client_id in rows}

    def _is_joinable(self, assignment_id: str | None = None) -> bool:
        """Whether who gets this assignment, or a new one, can still report.

        The roster of a secure round is frozen early, and a round is joined once: a device that has joined, and asks
        again, has lost its keys.
        """
        if self._task.manifest.secure_aggregation is None:
            return True
        if secure_rounds.phase(self._tx, self._round.id) is not SecurePhase.ADVERTISING:
            return False
        return assignment_id is None or secure_rounds.participant(self._tx, assignment_id) is None

    def _expiry(self) -> datetime:
        seconds = self._task.manifest.rounds.report_timeout_seconds
        if seconds is None:
            return self._round.deadline
        return min(self._round.deadline, self._now + timedelta(seconds=seconds))

    def _existing(self, who: CheckingIn, row: AssignmentRow) -> Assigned | NotSelected:
        if self._round.kind not in who.kinds:  # drawn without being asked
            return self._pace.refuse(NotSelectedReason.NO_OPEN_ROUND, who)
        if row.receipt is not None:
            return self._pace.refuse(NotSelectedReason.ALREADY_REPORTED, who)
        if row.expires_at <= self._now or not self._is_joinable(row.id):
            return self._pace.refuse(NotSelectedReason.TOO_LATE, who)
        return self._assigned(row.id, row.expires_at)

    def _assigned(self, assignment_id: str, expires_at: datetime) -> Assigned:
        return Assigned(
            assignment=Assignment(
                assignment_id=assignment_id,
                task_id=self._task.id,
                round_id=self._round.id,
                round_number=self._round.number,
                kind=self._round.kind,
                base=self._round.base,
                training=self._task.manifest.training,
                clipping_norm=self._round.clipping_norm,
                manifest_digest=self._task.manifest.digest,
                deadline=expires_at,
                expires_in_seconds=max((expires_at - self._now).total_seconds(), 0.0),
            )
        )
