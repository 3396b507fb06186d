"""The sum of a closed round: its processes' partial sums, added up."""

import numpy as np
from sqlalchemy import Connection

from services.aggregator.domain import sealing
from services.aggregator.domain.kernels import Accumulator
from services.aggregator.domain.rounds import Round
from services.aggregator.pipeline.context import Context
from services.aggregator.storage import partial_sums, rounds


class KeyErased(Exception):
    """The round's key is gone, and with it all that was sealed in the round."""


def round_key(tx: Connection, context: Context, round_id: str) -> bytes:
    """The key that everything of a round is sealed with.

    Raises:
        KeyErased: the round is over.
        SealBroken: no deployment key opens it.
    """
    wrapped = rounds.wrapped_key(tx, round_id)
    if wrapped is None:
        raise KeyErased("the round's key was erased before its sum was taken")
    return sealing.unwrap(wrapped, context.deployment_keys, round_id)


def merge(tx: Connection, context: Context, round_: Round, size: int) -> tuple[Accumulator, int]:
    """The round's vector and its number of reports: an integer sum, the same in any order.

    Raises:
        KeyErased, SealBroken, ObjectMissing: it cannot be read.
    """
    key = round_key(tx, context, round_.id)
    vector = np.zeros(size, np.int64)
    report_count = 0
    for row in partial_sums.of_round(tx, round_.id):
        start = 0
        for chunk in sealing.unseal(context.home.read(tx, row.object_key), vector.nbytes, key, row.id):
            values = np.frombuffer(chunk, np.int64)
            vector[start : start + values.size] += values
            start += values.size
        report_count += row.report_count
    return vector, report_count
