"""Delete clients: those that were not seen for long, and those that an operator has erased."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial

from sqlalchemy import Connection

from services.aggregator.domain.errors import UnknownKey
from services.aggregator.pipeline.context import Context
from services.aggregator.storage import audit, credentials, forgetting, persons, refused_keys

_BATCH = 500
_FOUND = 100_000


def forget_unseen(context: Context, unseen: timedelta) -> int:
    """Delete clients that got no token for so long, many in each transaction; returns how many.

    Whose receipts still bound its participation stays, and one that was revoked leaves the hashes of its key and its
    person behind: being forgotten gives nobody another turn. A device that comes back enrols again.
    """
    seen_before = (context.now() - unseen).date()

    def forget(tx: Connection, among: Sequence[str]) -> int:
        return _delete(tx, forgetting.lock_unseen(tx, seen_before, among))

    def forget_some() -> int:
        # To find them all clients are read: for many batches at once.
        found = context.db.run("find_unseen_clients", lambda tx: forgetting.unseen(tx, seen_before, _FOUND))
        batches = [found[start : start + _BATCH] for start in range(0, len(found), _BATCH)]
        return sum(context.db.run("forget_clients", partial(forget, among=batch)) for batch in batches)

    return _total(forget_some)


def erase_client(context: Context, client_id: str, operator: str) -> None:
    """Delete a client with its assignments and receipts, and refuse its key and its person for ever.

    While a round is under way that it has an assignment in, it is revoked; the rest is done by `finish_erasures`.

    Raises:
        UnknownKey: there is no such client.
    """

    def step(tx: Connection) -> None:
        client = credentials.client(tx, client_id)
        if client is None or not forgetting.lock(tx, client_id):
            raise UnknownKey(f"there is no client {client_id!r}")
        audit.record(tx, operator, "erase client", client_id, context.now())
        credentials.revoke_client(tx, client.task_id, client_id, context.now())
        if forgetting.is_in_round(tx, client_id):
            forgetting.ask_to_erase(tx, client_id, context.now())
        else:
            _delete(tx, [client_id])

    context.db.run("erase_client", step)


def finish_erasures(context: Context) -> int:
    """Delete the clients whose erasure had to wait for the end of a round; returns how many."""

    def step(tx: Connection) -> int:
        return _delete(tx, forgetting.lock_to_be_erased(tx, _BATCH))

    return _total(lambda: context.db.run("finish_erasures", step))


def _delete(tx: Connection, client_ids: Sequence[str]) -> int:
    refused_keys.add(tx, client_ids)
    persons.refuse(tx, client_ids)
    forgetting.delete_clients(tx, client_ids)
    return len(client_ids)


def _total(delete_some: Callable[[], int]) -> int:
    """Delete until there is nothing left to delete; returns how much there was."""
    return sum(iter(delete_some, 0))
