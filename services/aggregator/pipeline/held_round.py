"""The closed round that a worker's lease is on."""

from sqlalchemy import Connection

from fedrec_protocol.messages import RoundState
from services.aggregator.domain.rounds import Round
from services.aggregator.storage import leases, rounds
from services.aggregator.storage.leases import FencedOff, Lease


def held_round(tx: Connection, round_id: str, lease: Lease) -> Round:
    """A closed round, which is locked with its lease until the transaction ends.

    Raises:
        FencedOff: another worker has taken over, or has finished the round.
    """
    leases.require(tx, lease)
    round_ = rounds.get(tx, round_id, lock=True)
    if round_.state is not RoundState.AGGREGATING:
        # Its lease was retired with it. Whoever comes late makes it anew, with fences from 1, which old ones may fit.
        raise FencedOff(lease.name)
    return round_
