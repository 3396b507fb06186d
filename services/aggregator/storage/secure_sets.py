"""A stored secure round as the protocol's functions want it."""

from typing import TypeVar

from sqlalchemy import Connection

from fedrec_protocol.secagg.messages import Shares, Survivors
from fedrec_protocol.secagg.server.context import RosteredRound
from fedrec_protocol.secagg.server.reveals import Sets
from fedrec_protocol.secure_messages import SecurePhase
from services.aggregator.storage import secure_rounds
from services.aggregator.storage.secure_rounds import SecureRow

T = TypeVar("T")


def rostered_round(row: SecureRow) -> RosteredRound:
    """The round with its roster, once that is frozen."""
    return frozen(row.rostered)


def sets_of(row: SecureRow) -> Sets:
    """The sharers and the survivors, once both are frozen."""
    rostered = rostered_round(row)
    survivors = Survivors.model_validate_json(frozen(row.survivors)).survivors
    return Sets(rostered.read_set(frozen(row.sharers)), rostered.read_set(survivors), survivors)


def shares_of(tx: Connection, row: SecureRow, positions: frozenset[int] | None = None) -> dict[int, Shares]:
    """Accepted shares by position of their dealer; with `positions`, of those only."""
    stored = secure_rounds.messages(tx, row.secure.round_id, SecurePhase.SHARING, positions)
    return {position: Shares.model_validate_json(content) for position, content in stored.items()}


def frozen(content: T | None) -> T:
    """What an earlier phase froze: it is there, or the rows were tampered with."""
    if content is None:
        raise RuntimeError("the phase has gone on without what it should have frozen")
    return content
