"""A finished report on its way, and the private tensors that belong to it.

The order, and why:

1. The report and the new private tensors are stored together, before the first byte is sent. From here
   on this assignment has one body: after a crash, or a lost answer, exactly these bytes are sent again,
   and the server answers with the receipt of the first time.
2. The private tensors take effect in the transaction that removes the report, once a receipt says that
   it was counted. A crash in between repeats step 1's sending, not the training.
3. A report that can no longer be counted is removed with its private tensors: a round that did not
   count leaves no trace on the device, and a participant that was late is in the state of one that was
   never asked. Were they kept, they would fit a model that nobody else has trained towards, and the
   same seeds would no longer give the same run.
"""

from dataclasses import dataclass

from fedrec_protocol import codec
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.tensors import Tensors
from fedrec_sdk.store.database import StoreDatabase
from fedrec_sdk.store.participations import record


@dataclass(frozen=True)
class PendingReport:
    """A report that is finished and not yet known to be counted."""

    task_id: str
    assignment_id: str
    base_version_id: str
    round_number: int
    kind: RoundKind
    body: bytes
    """What is sent: safetensors."""
    private: bytes
    """All private tensors as they will be once the report is counted: safetensors."""


class Outbox:
    """At most one pending report, and the private tensors of each task."""

    def __init__(self, database: StoreDatabase) -> None:
        self._database = database

    def pending(self) -> PendingReport | None:
        """The report that waits for its receipt."""
        with self._database.transaction() as tx:
            row = tx.execute(
                "SELECT task_id, assignment_id, base_version_id, round_number, kind, body, private_tensors FROM outbox"
            ).fetchone()
        if row is None:
            return None
        task_id, assignment_id, base_version_id, round_number, kind, body, private = row
        return PendingReport(task_id, assignment_id, base_version_id, round_number, RoundKind(kind), body, private)

    def put(self, report: PendingReport, *, is_seen: bool = False) -> None:
        """Store a finished report before it is sent.

        Args:
            report: What will be sent.
            is_seen: Whether it counts as a participation once it is sent, whatever the server answers.
        """
        with self._database.transaction() as tx:
            if is_seen:
                record(tx, report.task_id, report.round_number)
            tx.execute(
                "INSERT INTO outbox VALUES (1, ?, ?, ?, ?, ?, ?, ?)",
                (
                    report.task_id,
                    report.assignment_id,
                    report.base_version_id,
                    report.round_number,
                    report.kind.value,
                    report.body,
                    report.private,
                ),
            )

    def acknowledge(self, report: PendingReport) -> None:
        """The report was counted: its private tensors take effect."""
        with self._database.transaction() as tx:
            record(tx, report.task_id, report.round_number)
            tx.execute("INSERT OR REPLACE INTO private_tensors VALUES (?, ?)", (report.task_id, report.private))
            tx.execute("DELETE FROM outbox")

    def discard(self) -> None:
        """The report will not be counted: forget it and its private tensors."""
        with self._database.transaction() as tx:
            tx.execute("DELETE FROM outbox")

    def private_tensors(self, task_id: str) -> Tensors:
        """The private tensors of a task; empty before the first counted report."""
        with self._database.transaction() as tx:
            row = tx.execute("SELECT tensors FROM private_tensors WHERE task_id = ?", (task_id,)).fetchone()
        return {} if row is None else codec.decode(row[0])

    def clear(self) -> None:
        """Forget the pending report and the private tensors of all tasks: they are overwritten."""
        with self._database.transaction(is_erasing=True) as tx:
            tx.execute("DELETE FROM outbox")
            tx.execute("DELETE FROM private_tensors")
