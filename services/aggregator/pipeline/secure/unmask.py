"""Take the masks off a round's sum, and hand it on as the sum of plain reports."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import structlog
from sqlalchemy import Connection

from fedrec_protocol import fixed_point
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.secagg.errors import RoundAborted
from fedrec_protocol.secagg.messages import Reveal, Shares
from fedrec_protocol.secagg.of_task import round_layout
from fedrec_protocol.secagg.quantise import CLIPPED, EVALUATIONS, WEIGHT, metric_name
from fedrec_protocol.secagg.server.blame import faults
from fedrec_protocol.secagg.server.reveals import check_reveal
from fedrec_protocol.secagg.server.unmasking import recover_masks, unmask
from fedrec_protocol.secure_messages import SecurePhase
from services.aggregator.domain import sealing
from services.aggregator.domain.kernels import Accumulator
from services.aggregator.domain.layout import Layout
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


@dataclass(frozen=True)
class Unmasked:
    """A round's sum without masks."""

    vector: Accumulator
    """On the coordinates of a plain round, int64."""
    blamed: Mapping[str, str]
    """What is held against whom, though the sum is exact: words by client id."""


def unmasked(context: Context, manifest: TaskManifest, round_: Round, masked: Accumulator) -> Unmasked:
    """The exact sum of the survivors' reports.

    Args:
        context: The aggregator's stores and keys.
        manifest: What was agreed.
        round_: The round, with its sum fixed.
        masked: The sum of masked reports modulo 2**64, int64, shape (coordinates,).

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
    return Unmasked(_plain(total, manifest, round_), faults(rostered, checked, ()))


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


def _plain(total: Accumulator, manifest: TaskManifest, round_: Round) -> Accumulator:
    """The same sum where a plain round has it: whole scalars instead of limbs, evaluations on the metrics' grid."""
    model, scalars = round_layout(manifest, round_.kind).split(total)
    layout = Layout.of(manifest, round_.kind)
    vector = np.zeros(layout.size, np.int64)
    vector[: layout.model_size] = model
    if layout.metric_names:
        sums = [scalars[metric_name(index)] for index in range(len(layout.metric_names))]
        vector[layout.metrics] = [scalars[EVALUATIONS] << fixed_point.METRIC_FRACTION_BITS, *sums]
    vector[layout.clipped] = scalars[CLIPPED] << fixed_point.METRIC_FRACTION_BITS
    vector[layout.weight] = scalars[WEIGHT]
    return vector
