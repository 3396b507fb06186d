"""Privacy ledgers in Postgres: charges are only ever added."""

from datetime import datetime

from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.aggregator.domain.privacy.events import Charge
from services.aggregator.domain.privacy.ledger import Budget, Ledger
from services.aggregator.domain.privacy.participation import ParticipationLimit
from services.aggregator.storage.tables import privacy_charges, privacy_ledgers


def open_ledger(tx: Connection, ledger: Ledger, task_id: str) -> bool:
    """Store the empty ledger of a new task; false when the lineage has one already."""
    values = {
        "lineage": ledger.lineage,
        "task_id": task_id,
        "budget": ledger.budget.model_dump(mode="json"),
        "participation_limit": ledger.limit.model_dump(mode="json"),
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
