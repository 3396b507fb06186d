"""Count a batch of reports: fold them, make the partial sum durable, write their receipts."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from fedrec_protocol.digest import format_digest
from fedrec_protocol.messages import Receipt
from services.aggregator.domain import sealing
from services.aggregator.domain.errors import ReportConflict
from services.aggregator.domain.opaque_reports import OpaqueReport
from services.aggregator.domain.partial_sum import PartialSum
from services.aggregator.domain.reports import ValidReport
from services.aggregator.pipeline.context import Context
from services.aggregator.storage import assignments, notifications, partial_sums, rounds
from services.aggregator.storage.assignments import NewReceipt
from services.aggregator.storage.partial_sums import PartialSumRow
from services.kit.ids import new_id


@dataclass(frozen=True)
class PendingReport:
    """A valid report that is not counted yet. Its values are kept until it is: see `commit_reports`."""

    assignment_id: str
    body_sha256: bytes
    report: ValidReport | OpaqueReport


class _AlreadyCounted(Exception):
    """Some of these assignments have receipts: counted by another process in the meantime."""

    def __init__(self, assignment_ids: set[str]) -> None:
        super().__init__()
        self.assignment_ids = assignment_ids


def commit_reports(
    context: Context, partial: PartialSum, round_key: bytes, goal: int, pending: Sequence[PendingReport]
) -> list[Receipt | Exception]:
    """Make every report in `pending` durable at once; returns a receipt, or a refusal, each.

    When this raises, nobody knows what `partial` holds compared with the database: the caller drops it and
    starts another partial sum. What was committed stays counted, and a retry finds its receipt.

    Raises:
        RoundClosed: the round no longer collects; nothing was counted.
        DatabaseUnavailable, ObjectsUnavailable: the outcome is unknown.
    """
    new = {report.assignment_id: report for report in reversed(pending)}
    for report in new.values():
        partial.add(report.report)
    receipts: dict[str, Receipt] = {}
    while new and not receipts:
        try:
            receipts = _commit(context, partial, round_key, goal, list(new.values()))
        except _AlreadyCounted as counted:
            # The same report came through two processes. Taking it out again is exact, and costs the
            # others in this batch nothing but a second try.
            for assignment_id in counted.assignment_ids:
                partial.remove(new.pop(assignment_id).report)
    return _answers(context, pending, receipts)


def _commit(
    context: Context, partial: PartialSum, round_key: bytes, goal: int, batch: Sequence[PendingReport]
) -> dict[str, Receipt]:
    now = context.now()
    # In one order everywhere, so that two processes with the same reports do not wait for each other.
    ordered = sorted(batch, key=lambda report: report.assignment_id)
    new = [NewReceipt(new_id("rep"), report.assignment_id, report.body_sha256) for report in ordered]

    def step(tx: Connection) -> str:
        # The object first: it takes the longest, and the round's row must not be held meanwhile.
        sealed = sealing.seal(partial.vector.data.cast("B"), round_key, partial.id)
        key = context.home.put(tx, sealed)
        rounds.require_collecting(tx, partial.round_id)
        # The receipts and the pointer move together: a crash on either side of this commit leaves each
        # report counted once or not at all, and then its client was never told.
        written = assignments.insert_receipts(tx, partial.round_id, partial.id, new, now)
        if len(written) < len(new):
            raise _AlreadyCounted({receipt.assignment_id for receipt in new} - written)
        pointer = PartialSumRow(partial.id, key, partial.report_count)
        durable = partial_sums.point_to(tx, pointer, partial.round_id, now, superseded=partial.object_key)
        if partial.object_key is not None:
            context.home.delete(tx, partial.object_key)
        if durable >= goal:
            notifications.notify(tx, notifications.WORK)
        return key

    partial.object_key = context.db.run("commit_reports", step)
    return {receipt.assignment_id: assignments.receipt_of(receipt, partial.round_id, now) for receipt in new}


def _answers(
    context: Context, pending: Sequence[PendingReport], receipts: dict[str, Receipt]
) -> list[Receipt | Exception]:
    """First come, first counted; a later report of an assignment gets the receipt if it is the same one."""
    missing = [report.assignment_id for report in pending if report.assignment_id not in receipts]
    if missing:
        found = context.db.run("find_receipts", lambda tx: assignments.find(tx, missing))
        receipts = receipts | {id_: row.receipt for id_, row in found.items() if row.receipt is not None}
    return [answer(report.body_sha256, receipts[report.assignment_id]) for report in pending]


def answer(body_sha256: bytes, receipt: Receipt) -> Receipt | Exception:
    """The receipt for a report that is the same as the counted one, else a conflict."""
    if receipt.content_digest == format_digest(body_sha256):
        return receipt
    return ReportConflict("another report was accepted for this assignment; check in for a new one")
