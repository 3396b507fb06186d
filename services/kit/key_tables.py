"""Keys in a table: found by their first characters (`lookup`) and hash (`key_hash`), revoked once (`revoked_at`)."""

from datetime import datetime

from sqlalchemy import ColumnElement, Connection, RowMapping, Table, func, select, update

from services.kit.keys import lookup_of, matches


def find_key(tx: Connection, table: Table, secret: str, pepper: bytes) -> RowMapping | None:
    """The row of the key with this secret, if there is one; it may be expired or revoked."""
    for row in tx.execute(select(table).where(table.c.lookup == lookup_of(secret))).mappings():
        if matches(secret, pepper, row["key_hash"]):
            return row
    return None


def revoke(tx: Connection, table: Table, now: datetime, *where: ColumnElement[bool]) -> bool:
    """Revoke the rows that these conditions choose; again: the first revocation stands. Whether there are any."""
    first = func.coalesce(table.c.revoked_at, now)
    return tx.execute(update(table).where(*where).values(revoked_at=first)).rowcount > 0
