"""Partial sums in Postgres: a pointer to a sealed object each."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Insert, Update, bindparam, delete, func, insert, select, update

from services.aggregator.storage.tables import partial_sums
from services.kit.driver import Statement


@dataclass(frozen=True)
class PartialSumRow:
    """Where a partial sum is kept."""

    id: str
    object_key: str
    report_count: int


def _pointing(statement: Insert | Update) -> Insert | Update:
    """Store the object and the count, and return the reports in the round's other partial sums."""
    others = partial_sums.alias("others")
    reports = select(func.coalesce(func.sum(others.c.report_count), 0)).where(
        others.c.round_id == bindparam("of_round"), others.c.id != bindparam("partial_sum_id")
    )
    stored = statement.values(object_key=bindparam("key"), report_count=bindparam("count"), updated_at=bindparam("now"))
    return stored.returning(reports.scalar_subquery())


# With every batch of reports.
_INSERT = Statement(
    _pointing(insert(partial_sums).values(id=bindparam("partial_sum_id"), round_id=bindparam("of_round")))
)
_UPDATE = Statement(
    _pointing(
        update(partial_sums).where(
            partial_sums.c.id == bindparam("partial_sum_id"), partial_sums.c.object_key == bindparam("superseded")
        )
    )
)


def point_to(tx: Connection, new: PartialSumRow, round_id: str, now: datetime, *, superseded: str | None) -> int:
    """Let a partial sum be this object from now on; returns how many reports of the round are durable with it.

    Args:
        tx: The transaction.
        new: The partial sum as it is.
        round_id: Its round.
        now: The time.
        superseded: The key of the object that it was so far; None for the first one.
    """
    values = {"partial_sum_id": new.id, "of_round": round_id, "key": new.object_key, "count": new.report_count}
    statement, former = (_INSERT, {}) if superseded is None else (_UPDATE, {"superseded": superseded})
    rows = statement.run(tx, **values, **former, now=now)
    if not rows:
        raise RuntimeError(f"partial sum {new.id} is not where its process left it")
    return int(rows[0][0]) + new.report_count


def of_round(tx: Connection, round_id: str) -> list[PartialSumRow]:
    """A round's partial sums, in a fixed order."""
    query = select(partial_sums).where(partial_sums.c.round_id == round_id).order_by(partial_sums.c.id)
    return [PartialSumRow(row["id"], row["object_key"], row["report_count"]) for row in tx.execute(query).mappings()]


def delete_of_round(tx: Connection, round_id: str) -> list[str]:
    """Forget a round's partial sums; returns the keys of their objects."""
    statement = delete(partial_sums).where(partial_sums.c.round_id == round_id)
    return list(tx.execute(statement.returning(partial_sums.c.object_key)).scalars())
