"""What operators did, and when."""

from sqlalchemy import Connection, RowMapping, insert, select

from fedrec_protocol.messages import AuditEntry
from services.model_registry.storage.tables import audit_log


def record(tx: Connection, operator: str, action: str, subject: str) -> None:
    """Add to the audit log, in the transaction that does it."""
    tx.execute(insert(audit_log).values(operator=operator, action=action, subject=subject))


def entries(tx: Connection, *, limit: int, before: int | None = None) -> list[AuditEntry]:
    """The newest entries first; with `before`, those with smaller numbers."""
    query = select(audit_log).order_by(audit_log.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit_log.c.id < before)
    return [_entry(row) for row in tx.execute(query).mappings()]


def _entry(row: RowMapping) -> AuditEntry:
    named = {name: row[name] for name in ("at", "operator", "action", "subject")}
    return AuditEntry(number=row["id"], **named)
