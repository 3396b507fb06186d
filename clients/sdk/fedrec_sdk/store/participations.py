"""The rounds that this device has taken part in: its own count, beside the server's."""

import sqlite3

from fedrec_sdk.store.database import StoreDatabase


class Participations:
    """Numbers of rounds by task. They are kept for ever: a promise about the whole task rests on them."""

    def __init__(self, database: StoreDatabase) -> None:
        self._database = database

    def of_task(self, task_id: str) -> list[int]:
        """Numbers of the task's rounds in which a report was counted, or may have been seen; ascending."""
        with self._database.transaction() as tx:
            rows = tx.execute("SELECT round_number FROM participation WHERE task_id = ? ORDER BY 1", (task_id,))
            return [number for (number,) in rows]


def record(tx: sqlite3.Connection, task_id: str, round_number: int) -> None:
    """In the transaction that makes it one; a round counts once."""
    tx.execute("INSERT OR IGNORE INTO participation VALUES (?, ?)", (task_id, round_number))
