"""Add a round's noise: what leaves here may be published, and what it costs is on its charge."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from fedrec_protocol.messages import RoundKind
from fedrec_protocol.noise.random_bits import RandomBits
from services.aggregator.domain import sealing
from services.aggregator.domain.kernels import Accumulator
from services.aggregator.domain.layout import Layout
from services.aggregator.domain.privacy.events import Charge
from services.aggregator.domain.privacy.task import CorrelatedSource, NoisyRound, charge_for, following_norm, noised
from services.aggregator.domain.rounds import Round
from services.aggregator.domain.tasks import Task
from services.aggregator.pipeline.context import Context
from services.aggregator.storage import noise_vectors
from services.kit.ids import new_id


class NoiseLost(Exception):
    """The key of a lineage's correlated noise is gone: no round of it can be released."""


@dataclass(frozen=True)
class Memory:
    """What a lineage with correlated noise keeps after a round."""

    key: bytes
    vectors: Mapping[int, NDArray[np.float64]]


@dataclass(frozen=True)
class Releasable:
    """A round's sum as it may be published."""

    vector: Accumulator
    """With its noise, where the task is private."""
    charge: Charge | None = None
    """What it costs; None where nothing is promised."""
    next_clipping_norm: float | None = None
    """Of the round that follows, where clipping is adaptive."""
    memory: Memory | None = None
    """To be stored with the outcome, where noise is correlated."""


def releasable(context: Context, task: Task, round_: Round, vector: Accumulator) -> Releasable:
    """The sum that a round publishes.

    From here on nothing knows the exact sum. A worker that dies before it has stored the outcome has released
    nothing. The next one draws noise of its own; noise that is correlated over rounds comes out the same again.

    Raises:
        NoiseLost, SealBroken, ObjectMissing: the noise of earlier rounds cannot be read.
    """
    policy, layout = task.manifest.privacy, Layout.of(task.manifest, round_.kind)
    if policy is None:
        return Releasable(vector)
    noisy, memory = NoisyRound.of(task, policy, round_), None
    if task.manifest.correlated_noise is not None and round_.kind is RoundKind.TRAINING:
        memory = _remember(context, layout, noisy)
    model_noise = None if memory is None else memory.vectors[round_.number]
    private = noised(vector, layout, noisy, RandomBits.from_operating_system(), model_noise)
    return Releasable(private, charge_for(noisy, new_id("chg")), following_norm(noisy, layout, private), memory)


def store_memory(tx: Connection, context: Context, task: Task, memory: Memory | None) -> None:
    """Keep the noise that later rounds take back, in the transaction that stores what is released."""
    if memory is not None:
        noise_vectors.replace(tx, context.home, task.manifest.model, memory.key, memory.vectors)


def _remember(context: Context, layout: Layout, noisy: NoisyRound) -> Memory:
    lineage = noisy.manifest.model

    def read(tx: Connection) -> Memory:
        wrapped = noise_vectors.wrapped_key(tx, lineage)
        if wrapped is None:
            raise NoiseLost(f"the noise key of model {lineage!r} was erased")
        key = sealing.unwrap(wrapped, context.deployment_keys, lineage)
        return Memory(key, noise_vectors.read(tx, context.home, lineage, key, layout.model_size))

    kept = context.db.run("read_noise", read)
    return Memory(kept.key, CorrelatedSource(kept.key).advance(kept.vectors, layout, noisy))
