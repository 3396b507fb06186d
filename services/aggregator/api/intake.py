"""One process's intake: a partial sum for each round that it has reports of."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from fedrec_protocol.codec import Body
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import Receipt
from services.aggregator.api.handed_out import HandedOut
from services.aggregator.domain import sealing
from services.aggregator.domain.encrypted_reports import EncryptedFormat
from services.aggregator.domain.errors import RoundClosed, Unavailable, UnknownAssignment
from services.aggregator.domain.masked_reports import MaskedFormat
from services.aggregator.domain.opaque_reports import OpaqueReport
from services.aggregator.domain.partial_sum import PartialSum
from services.aggregator.domain.reports import RoundFormat, ValidReport, read_report
from services.aggregator.domain.rounds import Round
from services.aggregator.pipeline.asking import Asking
from services.aggregator.pipeline.commit_reports import PendingReport, commit_reports
from services.aggregator.pipeline.context import Context
from services.aggregator.storage import assignments, rounds, tasks
from services.aggregator.storage.assignments import AssignmentRow
from services.kit.batcher import Batcher
from services.kit.ids import new_id
from services.kit.objects import ObjectsUnavailable

_LARGE_BYTES = 1 << 20
_ROUNDS_REMEMBERED = 16
_LOOKUP_BATCH = 500
_COMMIT_BATCH = 2000


class RoundIntake:
    """What a process knows of a round while its reports come in."""

    def __init__(
        self,
        context: Context,
        round_: Round,
        manifest: TaskManifest,
        round_key: bytes,
        *,
        gather_seconds: float,
        is_complete: Callable[[int], bool],
    ) -> None:
        self.round = round_
        self.format = _format(round_, manifest)
        self.reports: Batcher[PendingReport, Receipt | None] = Batcher(
            self._commit, maximum=_COMMIT_BATCH, gather_seconds=gather_seconds, is_complete=is_complete
        )
        self._context = context
        self._round_key = round_key
        self._goal = round_.goal(manifest.rounds)
        self._partial: PartialSum | None = None

    def read(self, body: Body) -> ValidReport | OpaqueReport:
        """Check a body; raises `ReportRejected`."""
        if not isinstance(self.format, RoundFormat):
            return self.format.read(body)
        base = self._context.registry.weights(self.round.base) if self.format.needs_base else None
        return read_report(body, self.format, base)

    def _commit(self, pending: list[PendingReport]) -> Sequence[Receipt | None]:
        partial = self._partial or PartialSum(new_id("psm"), self.round.id, self.format.layout)
        # Until the commit is known to have happened, or not, this sum is nobody's. After a failure nobody has
        # to guess: what was committed stays counted, and the next batch starts another sum.
        self._partial = None
        try:
            answers = commit_reports(self._context, partial, self._round_key, self._goal, pending)
        except ObjectsUnavailable as error:
            raise Unavailable("the home of the partial sums cannot be reached") from error
        self._partial = partial
        return answers


def _format(round_: Round, manifest: TaskManifest) -> RoundFormat | MaskedFormat | EncryptedFormat:
    """What the round's reports look like."""
    if manifest.secure_aggregation is not None:
        return MaskedFormat.of(manifest, round_.kind)
    if manifest.homomorphic_encryption is not None:
        return EncryptedFormat.of(manifest, manifest.homomorphic_encryption, round_.kind)
    return RoundFormat.of(manifest, round_.kind, round_.clipping_norm)


class Intake:
    """Takes reports in; one for each process."""

    def __init__(self, context: Context, is_complete: Callable[[int], bool]) -> None:
        """`is_complete` says whether no report can join so many that wait to be counted."""
        self._context = context
        self._is_complete = is_complete
        self.handed_out = HandedOut()
        self._rounds: OrderedDict[str, RoundIntake] = OrderedDict()
        self._gather_seconds = 0.0
        self._lookups: Batcher[str, AssignmentRow | None] = Batcher(self._find, maximum=_LOOKUP_BATCH)
        self._openings: Batcher[str, RoundIntake] = Batcher(self._open_each, maximum=_LOOKUP_BATCH)

    async def assignment(self, who: Asking) -> AssignmentRow:
        """One's assignment with its receipt, perhaps as this process has handed it out.

        Raises:
            UnknownAssignment: there is none, or it is somebody else's.
        """
        assignment = self.handed_out.take(who, self._context.now())
        # Of a round that this process knows nothing of, it does not know either that it goes on.
        if assignment is not None and assignment.round_id in self._rounds:
            return assignment
        return await self.look_up(who)

    async def look_up(self, who: Asking) -> AssignmentRow:
        """One's assignment as it is.

        Raises:
            UnknownAssignment: there is none, or it is somebody else's.
        """
        assignment = await self._lookups.submit(who.assignment_id)
        if assignment is None or assignment.client_id != who.client_id:
            raise UnknownAssignment(f"you have no assignment {who.assignment_id!r}")
        return assignment

    async def round(self, round_id: str) -> RoundIntake:
        """The intake of a round, started when its first report comes.

        Raises:
            RoundClosed: the round's key is erased: it takes no reports any more.
        """
        if round_id not in self._rounds:
            opened = await self._openings.submit(round_id)
            self._rounds.setdefault(round_id, opened)
            self._forget(lambda other: other.round.id != round_id, keep=_ROUNDS_REMEMBERED)
        self._rounds.move_to_end(round_id)
        return self._rounds[round_id]

    async def submit(self, round_: RoundIntake, who: Asking, sha256: bytes, body: Body) -> Receipt | None:
        """Check a body and count it; returns once that is durable, or None if its assignment now says otherwise.

        Raises:
            ReportRejected: the body is not a report of this round.
            RoundClosed: it is too late.
        """
        if len(body) > _LARGE_BYTES or round_.format.needs_base:
            report = await asyncio.to_thread(round_.read, body)
        else:
            report = round_.read(body)
        return await round_.reports.submit(PendingReport(who, sha256, report))

    def forget_task(self, task_id: str | None) -> None:
        """A round of this task, or any, has ended: give its memory back."""
        self._forget(lambda round_: task_id in {None, round_.round.task_id}, keep=0)

    async def finish(self) -> None:
        """Wait until every report that was taken is counted."""
        for round_ in list(self._rounds.values()):
            await round_.reports.finish()

    def _forget(self, may_go: Callable[[RoundIntake], bool], *, keep: int) -> None:
        # A round that is forgotten too early only starts another partial sum with its next report.
        idle = [id_ for id_, round_ in self._rounds.items() if may_go(round_) and round_.reports.is_idle]
        for id_ in idle[: max(len(self._rounds) - keep, 0)]:
            # The next round's commits will take about as long as this one's.
            self._gather_seconds = self._rounds.pop(id_).reports.gather_seconds

    def _find(self, ids: list[str]) -> Sequence[AssignmentRow | None]:
        found = self._context.db.read("find_assignments", lambda tx: assignments.find(tx, ids))
        return [found.get(id_) for id_ in ids]

    def _open_each(self, round_ids: list[str]) -> Sequence[RoundIntake | Exception]:
        """A round once, although all of its first reports come at the same moment."""
        opened: dict[str, RoundIntake | Exception] = {}
        for round_id in set(round_ids):
            try:
                opened[round_id] = self._rounds.get(round_id) or self._open(round_id)
            except Exception as error:  # the others are rounds of somebody else
                opened[round_id] = error
        return [opened[round_id] for round_id in round_ids]

    def _open(self, round_id: str) -> RoundIntake:
        def read(tx: Connection) -> tuple[Round, TaskManifest, bytes | None]:
            round_ = rounds.get(tx, round_id)
            return round_, tasks.get(tx, round_.task_id).manifest, rounds.wrapped_key(tx, round_id)

        round_, manifest, wrapped = self._context.db.run("read_round_for_intake", read)
        if wrapped is None:
            raise RoundClosed("the round no longer collects reports; check in for a new assignment")
        key = sealing.unwrap(wrapped, self._context.deployment_keys, round_id)
        return RoundIntake(
            self._context,
            round_,
            manifest,
            key,
            gather_seconds=self._gather_seconds,
            is_complete=self._is_complete,
        )
