"""Abandon a closed round whose sum cannot be used."""

from collections.abc import Mapping
from types import MappingProxyType

import structlog
from sqlalchemy import Connection

from services.aggregator.domain.rounds import Round
from services.aggregator.pipeline.about import about
from services.aggregator.pipeline.close import abandon
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.held_round import held_round
from services.aggregator.storage import outcomes
from services.aggregator.storage.leases import Lease

log = structlog.get_logger(__name__)


def give_up(
    context: Context, round_: Round, lease: Lease, reason: str, blamed: Mapping[str, str] = MappingProxyType({})
) -> None:
    """Abandon the round that the lease is on, and say whom it is due to, if anybody.

    Raises:
        FencedOff: another worker has taken over; nothing was stored.
    """

    def write(tx: Connection) -> None:
        abandon(tx, context, held_round(tx, round_.id, lease).abandoned(reason, context.now()))
        outcomes.set_blamed(tx, round_.id, blamed, context.now())

    context.db.run("abandon_round", write)
    log.error("round abandoned", **about(round_), reason=reason)
