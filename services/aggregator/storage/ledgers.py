"""Privacy ledgers in Postgres: charges are only ever added, and a ledger that was restored is noticed.

What was released after a backup is not in the ledger that comes back with it. So each ledger names the incarnation of
the database that knows all its releases.
"""

from datetime import datetime

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from fedrec_protocol.messages import TaskState
from services.aggregator.domain.privacy.events import Charge
from services.aggregator.domain.privacy.ledger import Budget, Ledger
from services.aggregator.domain.privacy.participation import ParticipationLimit
from services.aggregator.storage.incarnation import incarnation
from services.aggregator.storage.tables import privacy_charges, privacy_ledgers, tasks

RESTORED = (
    "the database was restored, or a standby took over: say how many rounds were released that the privacy ledger does "
    "not know (`fedrec task restored`), then resume"
)
"""Why a task is held, and what to do."""


class LedgerRestored(Exception):
    """The ledger may miss releases; nothing is released until an operator has said how many."""

    def __init__(self) -> None:
        super().__init__(RESTORED)


def open_ledger(tx: Connection, ledger: Ledger, task_id: str) -> bool:
    """Store the empty ledger of a new task; false when the lineage has one already."""
    values = {
        "lineage": ledger.lineage,
        "task_id": task_id,
        "budget": ledger.budget.model_dump(mode="json"),
        "participation_limit": ledger.limit.model_dump(mode="json"),
        "incarnation": incarnation(tx),
    }
    statement = upsert(privacy_ledgers).values(**values).on_conflict_do_nothing()
    return tx.execute(statement.returning(privacy_ledgers.c.lineage)).scalar() is not None


def find(tx: Connection, lineage: str) -> Ledger | None:
    """A lineage's ledger with all its charges; None where no privacy was promised."""
    row = tx.execute(select(privacy_ledgers).where(privacy_ledgers.c.lineage == lineage)).mappings().one_or_none()
    if row is None:
        return None
    charges = select(privacy_charges.c.charge).where(privacy_charges.c.lineage == lineage)
    ordered = charges.order_by(privacy_charges.c.round_number, privacy_charges.c.charge_id)
    return Ledger(
        lineage=lineage,
        budget=Budget.model_validate(row["budget"]),
        limit=ParticipationLimit.model_validate(row["participation_limit"]),
        charges=tuple(Charge.model_validate(charge) for charge in tx.execute(ordered).scalars()),
    )


def charge(tx: Connection, lineage: str, entry: Charge, now: datetime) -> None:
    """Enter a charge, in the transaction that stores what is released for it."""
    tx.execute(
        insert(privacy_charges).values(
            charge_id=entry.charge_id,
            lineage=lineage,
            round_number=entry.round_number,
            charge=entry.model_dump(mode="json"),
            charged_at=now,
        )
    )


def require_whole(tx: Connection, lineage: str) -> None:
    """Pass a ledger that knows every release.

    Raises:
        LedgerRestored: it came back from a backup, and nobody has said yet what it misses.
    """
    known = select(privacy_ledgers.c.incarnation == incarnation(tx)).where(privacy_ledgers.c.lineage == lineage)
    if tx.execute(known).scalar() is False:
        raise LedgerRestored


def restored_tasks(tx: Connection) -> list[str]:
    """Ids of the tasks that go on, or may, with a ledger that came back from a backup.

    A ledger of a version that named no database is given the name of this one.
    """
    unnamed = privacy_ledgers.c.incarnation.is_(None)
    going_on = tasks.c.state.in_([TaskState.ACTIVE, TaskState.PAUSED])
    query = select(privacy_ledgers).join(tasks, tasks.c.id == privacy_ledgers.c.task_id).where(going_on | unnamed)
    found = tx.execute(query).all()
    if not found:  # asked all the time, and most deployments have no private task
        return []
    here = incarnation(tx)
    if any(row.incarnation is None for row in found):
        tx.execute(update(privacy_ledgers).where(unnamed).values(incarnation=here))
    return [row.task_id for row in found if row.incarnation not in {None, here}]


def confirm(tx: Connection, lineage: str) -> None:
    """Whatever was released is in this ledger by now."""
    named = {"incarnation": incarnation(tx)}
    tx.execute(update(privacy_ledgers).where(privacy_ledgers.c.lineage == lineage).values(**named))
