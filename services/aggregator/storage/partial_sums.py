"""Partial sums in Postgres: a pointer to a sealed object each."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from services.aggregator.storage.tables import partial_sums


@dataclass(frozen=True)
class PartialSumRow:
    """Where a partial sum is kept."""

    id: str
    object_key: str
    report_count: int


def point_to(tx: Connection, new: PartialSumRow, round_id: str, now: datetime, *, superseded: str | None) -> None:
    """Let a partial sum be this object from now on; `superseded` is the key of the one that it was so far."""
    values = {"object_key": new.object_key, "report_count": new.report_count, "updated_at": now}
    if superseded is None:
        tx.execute(insert(partial_sums).values(id=new.id, round_id=round_id, **values))
        return
    query = update(partial_sums).where(partial_sums.c.id == new.id, partial_sums.c.object_key == superseded)
    if tx.execute(query.values(values)).rowcount != 1:
        raise RuntimeError(f"partial sum {new.id} is not where its process left it")


def of_round(tx: Connection, round_id: str) -> list[PartialSumRow]:
    """A round's partial sums, in a fixed order."""
    query = select(partial_sums).where(partial_sums.c.round_id == round_id).order_by(partial_sums.c.id)
    return [PartialSumRow(row["id"], row["object_key"], row["report_count"]) for row in tx.execute(query).mappings()]


def delete_of_round(tx: Connection, round_id: str) -> list[str]:
    """Forget a round's partial sums; returns the keys of their objects."""
    statement = delete(partial_sums).where(partial_sums.c.round_id == round_id)
    return list(tx.execute(statement.returning(partial_sums.c.object_key)).scalars())
