"""Settle on what the silos decrypted a sum to, as soon as enough of them agree; or abandon the round."""

import structlog
from sqlalchemy import Connection

from fedrec_protocol.messages import RoundState
from services.aggregator.domain.encrypted_round import NoAgreement
from services.aggregator.domain.rounds import Round
from services.aggregator.pipeline.about import about
from services.aggregator.pipeline.close import abandon
from services.aggregator.pipeline.context import Context
from services.aggregator.storage import encrypted_sums, rounds, tasks

log = structlog.get_logger(__name__)


def settle_if_due(context: Context, round_id: str) -> None:
    """End the decryption of a round, if its silos agree or its time is over."""

    def step(tx: Connection) -> Round | None:
        if _verdict(tx, context, rounds.get(tx, round_id), lock=False) is None:
            return None
        # The round's row first, as everywhere, then the sum's: that waits for answers under way.
        round_ = rounds.get(tx, round_id, lock=True)
        verdict = _verdict(tx, context, round_, lock=True)
        if isinstance(verdict, NoAgreement):
            round_ = round_.abandoned(str(verdict), context.now())
            abandon(tx, context, round_)
        elif verdict is not None:
            encrypted_sums.settle(tx, round_id, verdict)
        return None if verdict is None else round_

    settled = context.db.run("settle_decryption", step)
    if settled is not None and settled.state is RoundState.ABANDONED:
        log.warning("round abandoned", **about(settled), reason=settled.abandoned_reason)
    elif settled is not None:
        log.info("sum decrypted", **about(settled))


def _verdict(tx: Connection, context: Context, round_: Round, *, lock: bool) -> bytes | NoAgreement | None:
    """The digest to settle on, that there is none, or that it is open."""
    row = encrypted_sums.find(tx, round_.id, lock=lock)
    terms = tasks.get(tx, round_.task_id).manifest.homomorphic_encryption
    if row is None or terms is None or row.agreed is not None:
        return None
    try:
        return encrypted_sums.progress(tx, row, terms).agreed(context.now())
    except NoAgreement as none:
        return none
