"""What operators did, and when."""

from sqlalchemy import Connection, insert

from services.model_registry.storage.tables import audit_log


def record(tx: Connection, operator: str, action: str, subject: str) -> None:
    """Add to the audit log, in the transaction that does it."""
    tx.execute(insert(audit_log).values(operator=operator, action=action, subject=subject))
