"""Add a round's noise: what leaves here may be published, and what it costs is on its charge."""

from dataclasses import dataclass

from fedrec_protocol.noise.random_bits import RandomBits
from services.aggregator.domain.kernels import Accumulator
from services.aggregator.domain.layout import Layout
from services.aggregator.domain.privacy.events import Charge
from services.aggregator.domain.privacy.task import NoisyRound, charge_for, following_norm, noised
from services.aggregator.domain.rounds import Round
from services.aggregator.domain.tasks import Task
from services.kit.ids import new_id


@dataclass(frozen=True)
class Releasable:
    """A round's sum as it may be published."""

    vector: Accumulator
    """With its noise, where the task is private."""
    charge: Charge | None = None
    """What it costs; None where nothing is promised."""
    next_clipping_norm: float | None = None
    """Of the round that follows, where clipping is adaptive."""


def releasable(task: Task, round_: Round, vector: Accumulator) -> Releasable:
    """The sum that a round publishes.

    From here on nothing knows the exact sum. A worker that dies before it has stored the outcome has released
    nothing; the next one draws noise of its own.
    """
    policy, layout = task.manifest.privacy, Layout.of(task.manifest, round_.kind)
    if policy is None:
        return Releasable(vector)
    noisy = NoisyRound.of(task, policy, round_)
    private = noised(vector, layout, noisy, RandomBits.from_operating_system())
    return Releasable(private, charge_for(noisy, new_id("chg")), following_norm(noisy, layout, private))
