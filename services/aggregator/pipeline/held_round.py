"""The closed round that a worker's lease is on."""

from datetime import timedelta

from sqlalchemy import Connection

from fedrec_protocol.messages import RoundState
from services.aggregator.domain.rounds import Round
from services.aggregator.storage import leases, rounds
from services.aggregator.storage.leases import FencedOff, Lease


def hold_round(tx: Connection, round_id: str, holder: str, duration: timedelta) -> Lease | None:
    """The lease on a closed round; None while another worker has it, and when the round is over.

    Raises:
        UnknownRound: it was deleted.
    """
    lease = leases.acquire(tx, round_id, holder, duration)
    # Looked at after that: a lease goes in the transaction that ends its round, and is not made anew.
    if lease is not None and rounds.get(tx, round_id).state is not RoundState.AGGREGATING:
        leases.retire(tx, round_id)
        return None
    return lease


def held_round(tx: Connection, round_id: str, lease: Lease) -> Round:
    """A closed round, which is locked with its lease until the transaction ends.

    Raises:
        FencedOff: another worker has taken over, or has finished the round.
    """
    leases.require(tx, lease)
    round_ = rounds.get(tx, round_id, lock=True)
    if round_.state is not RoundState.AGGREGATING:
        # A worker of an older release makes the lease of such a round anew, with fences from 1, which old ones may fit.
        raise FencedOff(lease.name)
    return round_
