"""A secure round on its way: its state is stored before each answer is sent, so that no round is answered twice.

1. The trained vector is stored, before the first key is made: a crash repeats no training.
2. Joining stores the round's id for ever, together with the keys: a round is joined once, whatever happens to it.
3. Masking stores the masked body and the next state, and deletes the vector and the secrets, in one
   transaction before the first byte is sent: no second vector can leave under the same masks.
4. The private tensors take effect when the report is counted, as with a plain report.
"""

from dataclasses import dataclass

from fedrec_protocol.messages import RoundKind
from fedrec_sdk.store.database import StoreDatabase
from fedrec_sdk.store.participations import record


@dataclass(frozen=True)
class PendingSecureRound:
    """A round that this device has trained for, and is taking part in."""

    task_id: str
    assignment_id: str
    base_version_id: str
    base_digest: str
    """SHA-256 of the base version's weights, in hexadecimal."""
    round_number: int
    kind: RoundKind
    vector: bytes
    """The report as int64, little-endian; empty once it is masked."""
    private: bytes
    """All private tensors as they will be once the report is counted: safetensors."""
    state: bytes | None = None
    """The participant's state (`fedrec_protocol.secagg.participant`); None before it has joined."""
    body: bytes | None = None
    """The masked report, until it is counted."""
    report_id: str | None = None
    """Its receipt, once it is counted."""


class SecureRounds:
    """At most one secure round, and the ids of all that were ever joined."""

    def __init__(self, database: StoreDatabase) -> None:
        self._database = database

    def pending(self) -> PendingSecureRound | None:
        """The round that is under way."""
        with self._database.transaction() as tx:
            row = tx.execute(
                "SELECT task_id, assignment_id, base_version_id, base_digest, round_number, kind, vector,"
                " private_tensors, state, body, report_id FROM secure_round"
            ).fetchone()
        if row is None:
            return None
        task_id, assignment_id, version_id, digest, number, kind, vector, private, state, body, report_id = row
        about = (task_id, assignment_id, version_id, digest, number, RoundKind(kind))
        return PendingSecureRound(*about, vector, private, state, body, report_id)

    def begin(self, new: PendingSecureRound) -> None:
        """Store what was trained."""
        with self._database.transaction() as tx:
            tx.execute(
                "INSERT INTO secure_round VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, NULL)",
                (
                    *(new.task_id, new.assignment_id, new.base_version_id, new.base_digest, new.round_number),
                    *(new.kind.value, new.vector, new.private),
                ),
            )

    def joined(self) -> frozenset[bytes]:
        """Ids of all rounds that were ever joined."""
        with self._database.transaction() as tx:
            return frozenset(row[0] for row in tx.execute("SELECT round_id FROM joined_round"))

    def join(self, round_id: bytes, state: bytes) -> None:
        """Store the keys of a round, and that it was joined."""
        with self._database.transaction() as tx:
            tx.execute("INSERT INTO joined_round VALUES (?)", (round_id,))
            tx.execute("UPDATE secure_round SET state = ?", (state,))

    def answer(self, state: bytes) -> None:
        """Store the next state before its answer is sent."""
        with self._database.transaction() as tx:
            tx.execute("UPDATE secure_round SET state = ?", (state,))

    def mask(self, state: bytes, body: bytes) -> None:
        """Store the masked report, and overwrite what is under the mask."""
        with self._database.transaction(is_erasing=True) as tx:
            tx.execute("UPDATE secure_round SET state = ?, body = ?, vector = x''", (state, body))

    def count(self, counted: PendingSecureRound, report_id: str) -> None:
        """The report was counted: its private tensors take effect."""
        with self._database.transaction() as tx:
            record(tx, counted.task_id, counted.round_number)
            tx.execute("INSERT OR REPLACE INTO private_tensors VALUES (?, ?)", (counted.task_id, counted.private))
            tx.execute("UPDATE secure_round SET report_id = ?, body = NULL, private_tensors = x''", (report_id,))

    def discard(self) -> None:
        """The round is over, or goes on without this device: overwrite all but its id."""
        with self._database.transaction(is_erasing=True) as tx:
            tx.execute("DELETE FROM secure_round")
