"""Encrypted sums in Postgres, and what silos decrypted them to: both sealed with the round's key."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from fedrec_protocol.homomorphic_encryption import HomomorphicEncryption
from services.aggregator.domain.encrypted_round import Decryptions
from services.aggregator.storage.tables import assignments, decryptions, encrypted_sums, receipts


@dataclass(frozen=True)
class EncryptedSumRow:
    """The encrypted sum of a closed round."""

    round_id: str
    object_key: str
    sha256: bytes
    """Of the words as they are sent."""
    deadline: datetime
    agreed: bytes | None
    """SHA-256 of the decrypted sum that is settled on; None while silos decrypt."""


@dataclass(frozen=True)
class DecryptionRow:
    """What one silo decrypted the sum to."""

    assignment_id: str
    client_id: str
    sha256: bytes
    object_key: str


def insert_sum(tx: Connection, new: EncryptedSumRow) -> None:
    """Store the sum of a round that has closed."""
    values = {"object_key": new.object_key, "sha256": new.sha256, "deadline": new.deadline}
    tx.execute(insert(encrypted_sums).values(round_id=new.round_id, **values))


def find(tx: Connection, round_id: str, *, lock: bool = False, share: bool = False) -> EncryptedSumRow | None:
    """A round's encrypted sum; None before the round has closed, and once it is over.

    With `share`, nobody settles it until the transaction ends; with `lock`, nobody answers either.
    """
    query = select(encrypted_sums).where(encrypted_sums.c.round_id == round_id)
    if lock or share:
        query = query.with_for_update(read=share)
    row = tx.execute(query).mappings().one_or_none()
    return None if row is None else EncryptedSumRow(**row)


def under_way(tx: Connection) -> list[str]:
    """Ids of the rounds whose silos decrypt."""
    query = select(encrypted_sums.c.round_id).where(encrypted_sums.c.agreed.is_(None))
    return list(tx.execute(query.order_by(encrypted_sums.c.round_id)).scalars())


def settle(tx: Connection, round_id: str, agreed: bytes) -> None:
    """No more decrypted sums are accepted: this one is used."""
    tx.execute(update(encrypted_sums).where(encrypted_sums.c.round_id == round_id).values(agreed=agreed))


def contributors(tx: Connection, round_id: str) -> dict[str, str]:
    """Client ids of those whose reports are in the sum, by assignment id."""
    joined = assignments.join(receipts, receipts.c.assignment_id == assignments.c.id)
    query = select(assignments.c.id, assignments.c.client_id).select_from(joined)
    rows = tx.execute(query.where(receipts.c.round_id == round_id).order_by(assignments.c.id))
    return {row[0]: row[1] for row in rows}


def insert_decryption(tx: Connection, round_id: str, new: DecryptionRow) -> None:
    """Store what a silo decrypted the sum to."""
    values = {"assignment_id": new.assignment_id, "sha256": new.sha256, "object_key": new.object_key}
    tx.execute(insert(decryptions).values(round_id=round_id, **values))


def sent(tx: Connection, round_id: str) -> list[DecryptionRow]:
    """All that was decrypted, in a fixed order."""
    joined = decryptions.join(assignments, assignments.c.id == decryptions.c.assignment_id)
    columns = (decryptions.c.assignment_id, assignments.c.client_id, decryptions.c.sha256, decryptions.c.object_key)
    query = select(*columns).select_from(joined).where(decryptions.c.round_id == round_id)
    return [DecryptionRow(**row) for row in tx.execute(query.order_by(decryptions.c.assignment_id)).mappings()]


def sent_by(tx: Connection, assignment_id: str) -> bytes | None:
    """Digest of what one silo decrypted the sum to."""
    found: bytes | None = tx.execute(
        select(decryptions.c.sha256).where(decryptions.c.assignment_id == assignment_id)
    ).scalar()
    return found


def progress(tx: Connection, row: EncryptedSumRow, terms: HomomorphicEncryption) -> Decryptions:
    """What the silos of a round have sent so far."""
    digests = {one.client_id: one.sha256 for one in sent(tx, row.round_id)}
    silos = len(contributors(tx, row.round_id))
    return Decryptions(digests, silos, terms.decryption_quorum, row.deadline)


def delete_of_round(tx: Connection, round_id: str) -> list[str]:
    """Forget a round's sum and what it was decrypted to; returns the keys of their objects."""
    keys: list[str] = []
    for table in (decryptions, encrypted_sums):
        statement = delete(table).where(table.c.round_id == round_id)
        keys += tx.execute(statement.returning(table.c.object_key)).scalars()
    return keys
