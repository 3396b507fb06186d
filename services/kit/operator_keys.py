"""Operator keys: a table of each service, which holds a keyed hash of every key."""

from datetime import datetime, timedelta

from sqlalchemy import Connection, RowMapping, Table, select
from sqlalchemy.dialects.postgresql import insert

from fedrec_protocol.messages import Role
from fedrec_protocol.operator_messages import OperatorKeyCreated, OperatorKeyRequest, OperatorKeyView
from services.kit import key_tables
from services.kit.ids import new_id
from services.kit.keys import NewKey, make_key


class OperatorKeys:
    """The operator keys in one table: its primary key and `name`, `role`, `lookup`, `key_hash` and three times."""

    def __init__(self, table: Table) -> None:
        self._table = table
        (self._id,) = table.primary_key.columns

    def make(self, tx: Connection, asked: OperatorKeyRequest, *, pepper: bytes, now: datetime) -> OperatorKeyCreated:
        """Make a key and store its hash; the secret is in the answer, and nowhere else."""
        key, life = make_key("fo", pepper), asked.expires_in_seconds
        expires_at = None if life is None else now + timedelta(seconds=life)
        row = insert(self._table).values(self._values(key, asked.name, asked.role, now) | {"expires_at": expires_at})
        view = self._view(tx.execute(row.returning(self._table)).mappings().one())
        return OperatorKeyCreated(**view.model_dump(), secret=key.secret)

    def add_once(self, tx: Connection, key: NewKey, *, name: str, role: Role, now: datetime) -> None:
        """Insert a key unless it was there before: one that was revoked does not come back."""
        tx.execute(insert(self._table).values(self._values(key, name, role, now)).on_conflict_do_nothing())

    def find(self, tx: Connection, secret: str, pepper: bytes) -> OperatorKeyView | None:
        """The key with this secret, if there is one; it may be expired or revoked."""
        row = key_tables.find_key(tx, self._table, secret, pepper)
        return None if row is None else self._view(row)

    def views(self, tx: Connection) -> list[OperatorKeyView]:
        """All keys, newest first."""
        query = select(self._table).order_by(self._table.c.created_at.desc(), self._id)
        return [self._view(row) for row in tx.execute(query).mappings()]

    def revoke(self, tx: Connection, key_id: str, now: datetime) -> bool:
        """Refuse a key from now on; whether there is one with this id."""
        return key_tables.revoke(tx, self._table, now, self._id == key_id)

    def _values(self, key: NewKey, name: str, role: Role, now: datetime) -> dict[str, object]:
        return {
            self._id.name: new_id("okey"),
            "name": name,
            "role": role,
            "lookup": key.lookup,
            "key_hash": key.key_hash,
            "created_at": now,
        }

    def _view(self, row: RowMapping) -> OperatorKeyView:
        return OperatorKeyView(
            key_id=row[self._id],
            name=row["name"],
            role=Role(row["role"]),
            created_at=row["created_at"],
            expires_at=row["expires_at"],
            revoked_at=row["revoked_at"],
        )
