"""Wake-up hints between processes. They may be lost; everybody polls beside them."""

from sqlalchemy import Connection, text

WORK = "fedrec_work"
"""A worker may have something to do."""
ROUNDS = "fedrec_rounds"
"""A round has opened or ended; the payload is its task's id."""


def notify(tx: Connection, channel: str, payload: str = "") -> None:
    """Tell the other processes when the transaction commits."""
    tx.execute(text("SELECT pg_notify(:channel, :payload)"), {"channel": channel, "payload": payload})
