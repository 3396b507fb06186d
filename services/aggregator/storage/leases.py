"""Leases with fencing: one worker at a time does a piece of work, and a worker that was asleep notices.

The database's clock decides when a lease has expired, so that workers need not agree on the time.
"""

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from services.aggregator.storage.tables import leases


class FencedOff(Exception):
    """The lease was taken over by another worker; whatever was computed under it must be dropped."""


@dataclass(frozen=True)
class Lease:
    """The right to do a piece of work until it expires."""

    name: str
    fence: int


def acquire(tx: Connection, name: str, holder: str, duration: timedelta) -> Lease | None:
    """Take a lease that is free or expired; None while somebody else holds it."""
    statement = upsert(leases).values(name=name, holder=holder, fence=1, expires_at=func.now() + duration)
    statement = statement.on_conflict_do_update(
        index_elements=["name"],
        set_={"holder": holder, "fence": leases.c.fence + 1, "expires_at": func.now() + duration},
        where=leases.c.expires_at <= func.now(),
    )
    fence = tx.execute(statement.returning(leases.c.fence)).scalar()
    return None if fence is None else Lease(name, fence)


def require(tx: Connection, lease: Lease) -> None:
    """Hold the lease until the transaction ends.

    Raises:
        FencedOff: somebody else has it by now.
    """
    query = select(leases.c.fence).where(leases.c.name == lease.name, leases.c.fence == lease.fence).with_for_update()
    if tx.execute(query).scalar() is None:
        raise FencedOff(lease.name)


def renew(tx: Connection, lease: Lease, duration: timedelta) -> bool:
    """Hold the lease for longer; false when somebody else has it by now."""
    mine = (leases.c.name == lease.name) & (leases.c.fence == lease.fence)
    return tx.execute(update(leases).where(mine).values(expires_at=func.now() + duration)).rowcount == 1


def release(tx: Connection, lease: Lease, pause: timedelta = timedelta(0)) -> None:
    """Give a lease back, if it is still ours; nobody gets it before the pause is over."""
    # The row stays: were it deleted, fences would begin again at 1, and a sleeper's old one would fit.
    mine = (leases.c.name == lease.name) & (leases.c.fence == lease.fence)
    tx.execute(update(leases).where(mine).values(expires_at=func.now() + pause))


def retire(tx: Connection, name: str) -> None:
    """The work is done for good: whoever has its lease has it no more."""
    tx.execute(delete(leases).where(leases.c.name == name))
