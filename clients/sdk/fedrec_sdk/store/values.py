"""Small values by name: device key, seed, enrolment, the task as it was last seen."""

from fedrec_sdk.store.database import StoreDatabase


class Values:
    """Named byte strings."""

    def __init__(self, database: StoreDatabase) -> None:
        self._database = database

    def get(self, name: str) -> bytes | None:
        """The value; None when there is none."""
        with self._database.transaction() as tx:
            row = tx.execute("SELECT content FROM value WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def put(self, name: str, content: bytes) -> None:
        """Set or replace the value."""
        with self._database.transaction() as tx:
            tx.execute("INSERT OR REPLACE INTO value VALUES (?, ?)", (name, content))

    def delete(self, name: str) -> None:
        """Forget the value."""
        with self._database.transaction() as tx:
            tx.execute("DELETE FROM value WHERE name = ?", (name,))

    def rename(self, name: str, new_name: str) -> None:
        """Let a value take the place of another one, at once."""
        with self._database.transaction() as tx:
            tx.execute("UPDATE OR REPLACE value SET name = ? WHERE name = ?", (new_name, name))

    def get_or_put(self, name: str, fresh: bytes) -> bytes:
        """The value; when there is none, `fresh` becomes it."""
        with self._database.transaction() as tx:
            tx.execute("INSERT OR IGNORE INTO value VALUES (?, ?)", (name, fresh))
            (content,) = tx.execute("SELECT content FROM value WHERE name = ?", (name,)).fetchone()
        return bytes(content)
