"""What refers to a task that is deleted, and goes before it: some rows at a time, or all that are left."""

from sqlalchemy import Connection, delete, select

from services.aggregator.storage import forgetting
from services.aggregator.storage.ids import is_one_of
from services.aggregator.storage.tables import (
    assignments,
    clients,
    demand_sketches,
    enrolment_keys,
    receipts,
    refused_keys,
    refused_persons,
    rounds,
)

_ROUNDS = 20
_ASSIGNMENTS = 10_000
"""A round may have a quarter of a million, which one statement has no time for."""
_CLIENTS = 1000


def delete_enrolment_keys(tx: Connection, *, task_id: str) -> None:
    """From now on nobody enrols."""
    tx.execute(delete(enrolment_keys).where(enrolment_keys.c.task_id == task_id))


def delete_rounds(tx: Connection, *, task_id: str) -> int:
    """Some rounds of a task that is over, or some of their assignments and receipts; returns how many rows went."""
    some = select(rounds.c.id).where(rounds.c.task_id == task_id).order_by(rounds.c.number).limit(_ROUNDS)
    round_ids = tx.execute(some).scalars().all()
    theirs = select(assignments.c.id).where(assignments.c.round_id.in_(round_ids)).limit(_ASSIGNMENTS)
    assignment_ids = tx.execute(theirs).scalars().all()
    tx.execute(delete(receipts).where(is_one_of(receipts.c.assignment_id, assignment_ids)))
    tx.execute(delete(assignments).where(is_one_of(assignments.c.id, assignment_ids)))
    if len(assignment_ids) == _ASSIGNMENTS:
        return len(assignment_ids)
    return tx.execute(delete(rounds).where(rounds.c.id.in_(round_ids))).rowcount


def delete_clients(tx: Connection, *, task_id: str) -> int:
    """Some clients of a task; returns how many."""
    client_ids = tx.execute(select(clients.c.id).where(clients.c.task_id == task_id).limit(_CLIENTS)).scalars().all()
    forgetting.delete_clients(tx, client_ids)
    return len(client_ids)


def delete_rest(tx: Connection, *, task_id: str) -> None:
    """Keys and persons that may not come back, who asked for work, and who enrolled at the last moment."""
    delete_clients(tx, task_id=task_id)
    for table in (refused_persons, refused_keys, demand_sketches, enrolment_keys):
        tx.execute(delete(table).where(table.c.task_id == task_id))
