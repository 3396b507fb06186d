"""The privacy ledger and the noise of a simulated task: the service's own, with noise that can be repeated."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.noise.discrete_gaussian import discrete_gaussian
from fedrec_protocol.noise.local import local_bound_steps, local_variance
from fedrec_protocol.noise.random_bits import RandomBits
from fedrec_protocol.noise.skellam import skellam
from fedrec_protocol.privacy import LocalPrivacy, Privacy
from fedrec_protocol.secagg.distributed_noise import DistributedNoise
from services.aggregator.domain.kernels import Accumulator
from services.aggregator.domain.layout import Layout
from services.aggregator.domain.privacy.events import Charge
from services.aggregator.domain.privacy.ledger import BudgetExceeded
from services.aggregator.domain.privacy.poisson import draw_all
from services.aggregator.domain.privacy.task import (
    CorrelatedSource,
    NoisyRound,
    charge_for,
    following_norm,
    new_ledger,
    noised,
)
from services.aggregator.domain.rounds import Round
from services.aggregator.domain.tasks import Task
from simulation.work import CohortSum

_PURPOSE = b"fedrec/simulation/noise/1"


class SimulatedPrivacy:
    """Differential privacy of one task.

    The noise comes from the manifest's seed, so that a run can be repeated. It therefore protects nobody:
    the people of a simulation need no protection from whoever has their data.
    """

    def __init__(self, manifest: TaskManifest, policy: Privacy) -> None:
        self._manifest, self._policy = manifest, policy
        self._ledger = new_ledger(manifest, policy)
        clipping = manifest.adaptive_clipping
        self._next_norm = None if clipping is None else clipping.initial_norm
        key = hashlib.sha256(_PURPOSE + manifest.seed.to_bytes(8, "little")).digest()
        self._bits, self._source = RandomBits(key), CorrelatedSource(key)
        self._noise: dict[int, NDArray[np.float64]] = {}

    @property
    def clipping_norm(self) -> float | None:
        """The norm that clipping has come to, where it is adaptive."""
        return self._next_norm

    @property
    def epsilon(self) -> float:
        """User-level epsilon spent so far, at the policy's delta."""
        return self._ledger.spent

    def why_no_room(self, task: Task, round_: Round) -> str | None:
        """Why the budget has no room for this round; None where it has."""
        try:
            self._ledger.require_room_for(self._charge(task, round_))
        except BudgetExceeded as error:
            return str(error)
        return None

    def release(self, task: Task, round_: Round, total: CohortSum, layout: Layout) -> Accumulator:
        """A round's sum with noise; nothing else of the sum may be released."""
        noisy = NoisyRound.of(task, self._policy, round_)
        model_noise = None
        if self._manifest.correlated_noise is not None and layout.model_size:
            self._noise = self._source.advance(self._noise, layout, noisy)
            model_noise = self._noise[round_.number]
        vector = self._with_own_noise(total.vector, layout, total.report_count)
        private = noised(vector, layout, noisy, self._bits, model_noise)
        self._next_norm = following_norm(noisy, layout, private) or self._next_norm
        return private

    def _with_own_noise(self, vector: Accumulator, layout: Layout, reports: int) -> Accumulator:
        """The sum as it is where each participant adds noise to its own report."""
        noise, coordinates = DistributedNoise.of(self._manifest), layout.model_size
        noisy = vector.copy()
        for _ in range(reports):
            if noise is not None:
                noisy[:coordinates] += skellam(noise.participant_variance, coordinates, self._bits)
            elif isinstance(self._policy, LocalPrivacy):
                bound = local_bound_steps(self._manifest.report.maximum_norm, layout.scale, coordinates)
                variance = local_variance(bound, self._policy.noise_multiplier)
                noisy[:coordinates] += discrete_gaussian(variance, coordinates, self._bits)
        return noisy

    def sample(self, enrolled: Sequence[str]) -> list[str] | None:
        """The people that the server's coins fall on; None where it does not sample.

        Raises:
            CohortTooLarge: a round might have no room for them.
        """
        sampling = self._manifest.sampling
        if sampling is None:
            return None
        room = self._manifest.rounds.maximum_reports
        return draw_all(enrolled, sampling.probability, room, self._bits)

    def charge(self, task: Task, round_: Round) -> None:
        """Enter what a round is about to release."""
        self._ledger = self._ledger.with_charge(self._charge(task, round_))

    def _charge(self, task: Task, round_: Round) -> Charge:
        return charge_for(NoisyRound.of(task, self._policy, round_), f"round-{round_.number}")
