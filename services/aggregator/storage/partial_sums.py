"""Partial sums in Postgres: a pointer to a sealed object each."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.postgresql import insert as upsert

from services.aggregator.storage.tables import partial_sums


@dataclass(frozen=True)
class PartialSumRow:
    """Where a partial sum is kept."""

    id: str
    object_key: str
    report_count: int


def point_to(tx: Connection, new: PartialSumRow, round_id: str, now: datetime) -> str | None:
    """Let a partial sum be this object from now on; returns the key of the object it supersedes."""
    query = select(partial_sums.c.object_key).where(partial_sums.c.id == new.id).with_for_update()
    superseded: str | None = tx.execute(query).scalar()
    values = {"object_key": new.object_key, "report_count": new.report_count, "updated_at": now}
    statement = upsert(partial_sums).values(id=new.id, round_id=round_id, **values)
    tx.execute(statement.on_conflict_do_update(index_elements=["id"], set_=values))
    return superseded


def of_round(tx: Connection, round_id: str) -> list[PartialSumRow]:
    """A round's partial sums, in a fixed order."""
    query = select(partial_sums).where(partial_sums.c.round_id == round_id).order_by(partial_sums.c.id)
    return [PartialSumRow(row["id"], row["object_key"], row["report_count"]) for row in tx.execute(query).mappings()]


def delete_of_round(tx: Connection, round_id: str) -> list[str]:
    """Forget a round's partial sums; returns the keys of their objects."""
    statement = delete(partial_sums).where(partial_sums.c.round_id == round_id)
    return list(tx.execute(statement.returning(partial_sums.c.object_key)).scalars())
