"""Which client a person is, by a keyed hash of who they are; and the persons who may not come back."""

from collections.abc import Sequence

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.aggregator.storage.tables import clients, persons, refused_persons


def client_of(tx: Connection, task_id: str, person_hash: bytes) -> str | None:
    """The id of a person's client, None where there is none yet; nobody else enrols them until the transaction ends."""
    statement = upsert(persons).values(task_id=task_id, person_hash=person_hash)
    # Changed, not left alone: so it is locked and returned, and cannot be forgotten between two statements.
    statement = statement.on_conflict_do_update(
        index_elements=["task_id", "person_hash"], set_={"person_hash": person_hash}
    )
    client_id: str | None = tx.execute(statement.returning(persons.c.client_id)).scalar_one()
    return client_id


def set_client(tx: Connection, task_id: str, person_hash: bytes, client_id: str) -> None:
    """Say which client a person is."""
    is_theirs = (persons.c.task_id == task_id) & (persons.c.person_hash == person_hash)
    tx.execute(update(persons).where(is_theirs).values(client_id=client_id))


def is_person(tx: Connection, client_id: str) -> bool:
    """Whether a client is a person's whom somebody has vouched for."""
    query = select(persons.c.client_id).where(persons.c.client_id == client_id)
    return tx.execute(query).scalar() is not None


def refuse(tx: Connection, client_ids: Sequence[str]) -> None:
    """Refuse the persons of those clients that were revoked, for ever."""
    query = select(persons.c.task_id, persons.c.person_hash).join(clients, clients.c.id == persons.c.client_id)
    query = query.where(clients.c.id.in_(client_ids), clients.c.revoked_at.is_not(None))
    tx.execute(upsert(refused_persons).from_select(["task_id", "person_hash"], query).on_conflict_do_nothing())


def is_refused(tx: Connection, task_id: str, person_hash: bytes) -> bool:
    """Whether this person's client may not come back."""
    query = select(refused_persons.c.task_id).where(
        refused_persons.c.task_id == task_id, refused_persons.c.person_hash == person_hash
    )
    return tx.execute(query).scalar() is not None
