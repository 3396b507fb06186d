"""Delete what is kept of rounds that were over long ago, of who asked for work in them, and of who was erased."""

from datetime import datetime

from sqlalchemy import Connection

from services.aggregator.domain.recent_participants import oldest_span
from services.aggregator.domain.retention import Retention
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.forget_clients import finish_erasures
from services.aggregator.storage import audit, demand, retention


def forget(context: Context, policy: Retention) -> int:
    """Delete assignments and receipts whose time is over, a round in each transaction; returns how many.

    The counts of recent participants go as well, clients that were to be erased when their round is over, and old
    entries of the audit log where the policy says so.
    """
    now = context.now()
    finish_erasures(context)
    context.db.run("forget_demand", lambda tx: demand.forget(tx, oldest_span(now)))
    oldest = None if policy.audit is None else now - policy.audit
    if oldest is not None:
        context.db.run("forget_audit", lambda tx: audit.forget(tx, oldest))
    return _forget_rounds(context, unreported_before=now - policy.unreported, receipts_before=now - policy.receipts)


def _forget_rounds(context: Context, *, unreported_before: datetime, receipts_before: datetime) -> int:
    def forget_unreported(tx: Connection) -> int | None:
        round_id = retention.next_with_unreported(tx, unreported_before)
        return None if round_id is None else retention.delete_unreported(tx, round_id)

    def forget_receipts(tx: Connection) -> int | None:
        round_id = retention.next_with_receipts(tx, receipts_before)
        return None if round_id is None else retention.delete_receipts(tx, round_id)

    total = 0
    for name, step in (("forget_unreported", forget_unreported), ("forget_receipts", forget_receipts)):
        while (deleted := context.db.run(name, step)) is not None:
            total += deleted
    return total
