"""What operators did, and when: a table of each service, written in the transaction that does it."""

from datetime import datetime

from sqlalchemy import Connection, RowMapping, Table, delete, insert, select

from fedrec_protocol.operator_messages import AuditEntry


class AuditLog:
    """The audit log in one table, with the columns `id`, `at`, `operator`, `action` and `subject`."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def record(self, tx: Connection, operator: str, action: str, subject: str, now: datetime | None = None) -> None:
        """Add an entry; without `now` the database says when."""
        moment = {} if now is None else {"at": now}
        tx.execute(insert(self._table).values(operator=operator, action=action, subject=subject, **moment))

    def entries(self, tx: Connection, *, limit: int, before: int | None = None) -> list[AuditEntry]:
        """The newest entries first; with `before`, those with smaller numbers."""
        query = select(self._table).order_by(self._table.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(self._table.c.id < before)
        return [_entry(row) for row in tx.execute(query).mappings()]

    def forget(self, tx: Connection, before: datetime) -> int:
        """Delete the entries of before a time; returns how many."""
        return tx.execute(delete(self._table).where(self._table.c.at < before)).rowcount


def _entry(row: RowMapping) -> AuditEntry:
    named = {name: row[name] for name in ("at", "operator", "action", "subject")}
    return AuditEntry(number=row["id"], **named)
