"""Count a batch of reports: fold them, make the partial sum durable, write their receipts."""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from fedrec_protocol.messages import Receipt
from services.aggregator.domain import sealing
from services.aggregator.domain.opaque_reports import OpaqueReport
from services.aggregator.domain.partial_sum import PartialSum
from services.aggregator.domain.reports import ValidReport
from services.aggregator.pipeline.asking import Asking
from services.aggregator.pipeline.context import Context
from services.aggregator.storage import assignments, notifications, partial_sums, rounds
from services.aggregator.storage.assignments import NewReceipt
from services.aggregator.storage.partial_sums import PartialSumRow
from services.kit.ids import new_ids


class PendingReport(NamedTuple):
    """A valid report that is not counted yet. Its values are kept until it is: see `commit_reports`."""

    who: Asking
    body_sha256: bytes
    report: ValidReport | OpaqueReport


class _Refused(Exception):
    """Some of these reports may not be counted, or were counted by another process in the meantime."""

    def __init__(self, assignment_ids: set[str]) -> None:
        super().__init__()
        self.assignment_ids = assignment_ids


def commit_reports(
    context: Context, partial: PartialSum, round_key: bytes, goal: int, pending: Sequence[PendingReport]
) -> list[Receipt | None]:
    """Make every report in `pending` durable at once that may be counted; returns its receipt.

    None stands for a report that is not counted here: its assignment, read again, says why. First come, first
    counted.

    When this raises, nobody knows what `partial` holds compared with the database: the caller drops it and
    starts another partial sum. What was committed stays counted, and a retry finds its receipt.

    Raises:
        RoundClosed: the round no longer collects; nothing was counted.
        DatabaseUnavailable, ObjectsUnavailable: the outcome is unknown.
    """
    new = {report.who.assignment_id: report for report in reversed(pending)}
    for report in new.values():
        partial.add(report.report)
    receipts: dict[str, Receipt] = {}
    while new and not receipts:
        try:
            receipts = _commit(context, partial, round_key, goal, list(new.values()))
        except _Refused as refused:
            # Taking them out again is exact, and costs the others in this batch nothing but a second try.
            for assignment_id in refused.assignment_ids:
                partial.remove(new.pop(assignment_id).report)
    ids = (report.who.assignment_id for report in pending)
    return [receipts[id_] if new.get(id_) is report else None for id_, report in zip(ids, pending, strict=True)]


def _commit(
    context: Context, partial: PartialSum, round_key: bytes, goal: int, batch: Sequence[PendingReport]
) -> dict[str, Receipt]:
    now = context.now()
    # In one order everywhere, so that two processes with the same reports do not wait for each other.
    ordered = sorted(batch, key=lambda report: report.who.assignment_id)
    new = [
        NewReceipt(id_, report.who.assignment_id, report.body_sha256, report.who.device_key)
        for id_, report in zip(new_ids("rep", len(ordered)), ordered, strict=True)
    ]

    def step(tx: Connection) -> str:
        # The object first: it takes the longest, and the round's row must not be held meanwhile.
        sealed = sealing.seal(partial.vector.data.cast("B"), round_key, partial.id)
        key = context.home.put(tx, sealed)
        rounds.require_collecting(tx, partial.round_id)
        # The receipts and the pointer move together: a crash on either side of this commit leaves each
        # report counted once or not at all, and then its client was never told.
        written = assignments.insert_receipts(tx, partial.round_id, partial.id, new, now)
        if len(written) < len(new):
            raise _Refused({receipt.assignment_id for receipt in new} - written)
        pointer = PartialSumRow(partial.id, key, partial.report_count)
        durable = partial_sums.point_to(tx, pointer, partial.round_id, now, superseded=partial.object_key)
        if partial.object_key is not None:
            context.home.delete(tx, partial.object_key)
        if durable >= goal:
            notifications.notify(tx, notifications.WORK)
        return key

    partial.object_key = context.db.run("commit_reports", step)
    return {receipt.assignment_id: assignments.receipt_of(receipt, partial.round_id, now) for receipt in new}
