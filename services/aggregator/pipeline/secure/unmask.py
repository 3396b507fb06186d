"""Take the masks off a round's sum, and hand it on as the sum of plain reports."""

from collections.abc import Mapping

import structlog
from sqlalchemy import Connection

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.secagg.errors import RoundAborted
from fedrec_protocol.secagg.messages import Reveal, Shares
from fedrec_protocol.secagg.server.blame import faults
from fedrec_protocol.secagg.server.reveals import check_reveal
from fedrec_protocol.secagg.server.unmasking import recover_masks, unmask
from fedrec_protocol.secure_messages import SecurePhase
from services.aggregator.domain import sealing
from services.aggregator.domain.hidden_sum import HiddenSum, plain_sum
from services.aggregator.domain.kernels import Accumulator
from services.aggregator.domain.rounds import Round
from services.aggregator.pipeline.context import Context
from services.aggregator.storage import rounds, secure_rounds
from services.aggregator.storage.secure_rounds import SecureRow
from services.aggregator.storage.secure_sets import rostered_round, sets_of, shares_of

log = structlog.get_logger(__name__)


class MasksStay(Exception):
    """The masks cannot be taken off: nothing of the round can be released.

    Attributes:
        blamed: what is held against whom: words by client id.
    """

    def __init__(self, reason: str, blamed: Mapping[str, str]) -> None:
        super().__init__(reason)
        self.blamed = blamed


def unmasked(
    context: Context, manifest: TaskManifest, round_: Round, masked: Accumulator, report_count: int
) -> HiddenSum:
    """The exact sum of the survivors' reports.

    Args:
        context: The aggregator's stores and keys.
        manifest: What was agreed.
        round_: The round, with its sum fixed.
        masked: The sum of masked reports modulo 2**64, int64, shape (coordinates,).
        report_count: How many there are.

    Raises:
        MasksStay: the round's secrets are gone, too few shares were revealed, or a dealer's shares do not fit what it
            signed.
    """
    row, reveals, shares = context.db.run("read_reveals", lambda tx: _read(tx, context, round_))
    rostered, sets = rostered_round(row), sets_of(row)
    checked = [check_reveal(rostered, holder, reveal, sets, shares) for holder, reveal in reveals.items()]
    try:
        masks = recover_masks(rostered, sets, checked)
    except RoundAborted as error:
        blamed = faults(rostered, checked, error.blamed)
        raise MasksStay("; ".join([str(error), *blamed]), blamed) from error
    total = unmask(masked, masks, row.secure.descriptor.grid)
    return HiddenSum(plain_sum(total, manifest, round_.kind), report_count, faults(rostered, checked, ()))


def reveal_name(assignment_id: str) -> str:
    """What a sealed reveal is bound to."""
    return f"{assignment_id}:reveal"


def _read(tx: Connection, context: Context, round_: Round) -> tuple[SecureRow, dict[int, Reveal], dict[int, Shares]]:
    row, wrapped = secure_rounds.find(tx, round_.id), rounds.wrapped_key(tx, round_.id)
    if row is None or wrapped is None:
        raise MasksStay("the round's secrets were erased before its masks were taken off", {})
    key = sealing.unwrap(wrapped, context.deployment_keys, round_.id)
    ids = secure_rounds.assignment_ids(tx, round_.id)
    stored = secure_rounds.messages(tx, round_.id, SecurePhase.REVEALING)
    reveals = {
        position: Reveal.model_validate_json(sealing.open_value(sealed, key, reveal_name(ids[position])))
        for position, sealed in stored.items()
    }
    return row, reveals, shares_of(tx, row)
