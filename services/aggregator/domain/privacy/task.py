"""What a private task releases in a round, and the noise that goes with it."""

import hmac
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol import fixed_point
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.noise.discrete_gaussian import discrete_gaussian
from fedrec_protocol.noise.random_bits import RandomBits
from fedrec_protocol.privacy import AdaptiveClipping, CentralPrivacy, DistributedPrivacy, LocalPrivacy, Privacy
from fedrec_protocol.secagg.distributed_noise import DistributedNoise
from services.aggregator.domain.layout import Layout
from services.aggregator.domain.privacy.adaptive_clipping import next_norm
from services.aggregator.domain.privacy.central import NoisePlan
from services.aggregator.domain.privacy.correlated import advance, banded_square_root
from services.aggregator.domain.privacy.events import (
    Charge,
    CorrelatedGaussianRelease,
    GaussianRelease,
    PoissonGaussianRelease,
    Release,
    SkellamRelease,
)
from services.aggregator.domain.privacy.ledger import Budget, Ledger
from services.aggregator.domain.privacy.participation import ParticipationLimit
from services.aggregator.domain.privacy.statement import Mechanism, NoiseBy
from services.aggregator.domain.reports import NORM_TOLERANCE
from services.aggregator.domain.rounds import Round
from services.aggregator.domain.tasks import Task


def new_ledger(manifest: TaskManifest, policy: Privacy) -> Ledger:
    """The empty ledger of a task: of its model, which no other task may train."""
    return Ledger(
        lineage=manifest.model,
        budget=Budget(epsilon=policy.budget_epsilon, delta=policy.target_delta),
        limit=ParticipationLimit(
            maximum_participations=manifest.rounds.maximum_participations,
            minimum_separation=manifest.rounds.minimum_separation,
        ),
    )


def mechanism_of(manifest: TaskManifest) -> Mechanism:
    """How the task's rounds protect a user, for the privacy statement."""
    return Mechanism(
        noise_by=_NOISE_BY["central" if manifest.privacy is None else manifest.privacy.mechanism],
        colluding_share=manifest.privacy.colluding_share if isinstance(manifest.privacy, DistributedPrivacy) else 0.0,
        is_secure_aggregation=manifest.secure_aggregation is not None,
        clipping_norm=manifest.report.maximum_norm,
        aggregation_goal=manifest.rounds.aggregation_goal,
        minimum_reports=manifest.rounds.minimum_reports,
        is_adaptive_clipping=manifest.adaptive_clipping is not None,
    )


_NOISE_BY = {
    "central": NoiseBy.SERVER,
    "distributed": NoiseBy.PARTICIPANTS,
    "local": NoiseBy.EACH_PARTICIPANT,
}


@dataclass(frozen=True)
class NoisyRound:
    """A round of a private task, as far as its noise depends on it."""

    manifest: TaskManifest
    policy: Privacy
    """The manifest's."""
    kind: RoundKind
    number: int
    """Number of the round in its task, from 1."""
    trained: int
    """Training rounds that were published before it."""
    clipping_norm: float
    """L2 bound on a report of this round."""

    @classmethod
    def of(cls, task: Task, policy: Privacy, round_: Round) -> "NoisyRound":
        """A task's round; the task as it is before the round is published."""
        norm = round_.clipping_norm or task.manifest.report.maximum_norm
        return cls(task.manifest, policy, round_.kind, round_.number, task.rounds_published, norm)

    @property
    def noise_multiplier(self) -> float:
        """Of the model's sum."""
        policy = self.policy
        return policy.multiplier_of(self.trained) if isinstance(policy, CentralPrivacy) else policy.noise_multiplier

    @property
    def coefficients(self) -> tuple[float, ...] | None:
        """First column of the strategy matrix, where noise is correlated over the rounds."""
        correlated = self.manifest.correlated_noise
        return None if correlated is None else banded_square_root(correlated.bands)


def charge_for(round_: NoisyRound, charge_id: str) -> Charge:
    """What a round releases: unless it only evaluates, the model's sum and the clip count; the metrics' sums."""
    match round_.policy:
        case CentralPrivacy():
            releases = _central_releases(round_, round_.policy)
        case DistributedPrivacy():
            releases = [_skellam_release(round_)]
        case LocalPrivacy():
            releases = [GaussianRelease(what="local report", noise_multiplier=round_.noise_multiplier)]
    return Charge(charge_id=charge_id, round_number=round_.number, releases=tuple(releases))


def unrecorded_charges(task: Task, policy: Privacy, ledger: Ledger, *, after: int, count: int) -> list[Charge]:
    """What `count` rounds have released of which the ledger does not know: what training rounds release at most.

    Their numbers, from `after` on, are as far apart as the limit says, so that one user may have been in all of them:
    the real numbers are not known, and with any others the price is at most this.
    """
    charges = []
    for index in range(count):
        number = after + index * ledger.limit.minimum_separation
        trained, norm = task.rounds_published + index, task.manifest.report.maximum_norm
        round_ = NoisyRound(task.manifest, policy, RoundKind.TRAINING, number, trained, norm)
        charges.append(charge_for(round_, f"unrecorded {ledger.lineage} {len(ledger.charges) + index}"))
    return charges


def may_go_on(manifest: TaskManifest, ledger: Ledger) -> bool:
    """Whether a task whose ledger missed releases can be priced further, now that they are charged.

    Not where a limit on each user is claimed: who took part in those rounds is not known any more. Not where noise is
    correlated either: it comes out the same again, and the difference of two such releases has none.
    """
    return ledger.limit == ParticipationLimit() and manifest.correlated_noise is None


def _central_releases(round_: NoisyRound, policy: CentralPrivacy) -> list[Release]:
    releases = []
    if round_.kind is RoundKind.TRAINING:
        releases.append(_model_release(round_, policy))
        if policy.clipping is not None:
            releases.append(_release("clip-count", policy.clipping.count_noise, policy))
    if round_.manifest.metrics and policy.metrics_noise_multiplier is not None:
        releases.append(_release("metrics", policy.metrics_noise_multiplier, policy))
    return releases


def _skellam_release(round_: NoisyRound) -> Release:
    noise = DistributedNoise.of(round_.manifest)
    if noise is None:
        raise ValueError("the task's participants add no noise")
    coordinates = sum(spec.element_count for spec in round_.manifest.report_tensors)
    # Integers: the L1 norm is at most the squared L2 norm, and at most sqrt(d) times it.
    l1 = min(math.sqrt(coordinates) * noise.bound_steps, noise.bound_steps**2)
    return SkellamRelease(variance=noise.counted_variance, l2_steps=noise.bound_steps, l1_steps=l1)


def _model_release(round_: NoisyRound, policy: CentralPrivacy) -> Release:
    coefficients = round_.coefficients
    if coefficients is None:
        return _release("model", round_.noise_multiplier, policy)
    return CorrelatedGaussianRelease(noise_multiplier=round_.noise_multiplier, coefficients=coefficients)


def _release(what: str, noise_multiplier: float, policy: CentralPrivacy) -> Release:
    if policy.sampling is None:
        return GaussianRelease(what=what, noise_multiplier=noise_multiplier)
    probability = policy.sampling.probability
    return PoissonGaussianRelease(what=what, noise_multiplier=noise_multiplier, sampling_probability=probability)


def following_norm(round_: NoisyRound, layout: Layout, private: NDArray[np.int64]) -> float | None:
    """The clipping norm of the round after this one, from its noisy sum; None where the norm does not move."""
    clipping = round_.manifest.adaptive_clipping
    if clipping is None or not layout.has_clip_count:
        return None
    noisy_clipped = float(private[layout.clipped][0]) / layout.metric_scale
    goal, largest = round_.manifest.rounds.aggregation_goal, round_.manifest.report.maximum_norm
    return next_norm(clipping, round_.clipping_norm, noisy_clipped, goal=goal, largest=largest)


def noised(
    vector: NDArray[np.int64],
    layout: Layout,
    round_: NoisyRound,
    bits: RandomBits,
    model_noise: NDArray[np.float64] | None = None,
) -> NDArray[np.int64]:
    """A round's sum with its noise: discrete Gaussian, on the integers, drawn once.

    The weight's coordinate, which counts who took part, is replaced by the aggregation goal: the public
    denominator.

    Args:
        vector: The exact sum, int64, shape (layout.size,); not changed.
        layout: Its coordinates.
        round_: The bounds on one participant's report, and the noise multipliers.
        bits: Where randomness comes from.
        model_noise: The model's noise, where it is correlated with that of other rounds; drawn here otherwise.

    Returns:
        int64, shape (layout.size,).
    """
    private, manifest, policy = vector.copy(), round_.manifest, round_.policy
    private[layout.weight] = manifest.rounds.aggregation_goal
    if not isinstance(policy, CentralPrivacy):
        return private  # its reports came with their noise
    if layout.model_size:
        noise = fresh_noise(layout, round_, bits) if model_noise is None else np.rint(model_noise).astype(np.int64)
        private[: layout.model_size] += noise
    if layout.metric_names and policy.metrics_noise_multiplier is not None:
        plan = NoisePlan(metrics_sensitivity(layout, manifest), policy.metrics_noise_multiplier)
        count = layout.metrics.stop - layout.metrics.start
        private[layout.metrics] += discrete_gaussian(plan.variance_steps, count, bits)
    if layout.has_clip_count and policy.clipping is not None:
        variance = clip_count_noise(policy.clipping).variance_steps
        private[layout.clipped] += discrete_gaussian(variance, 1, bits)
    return private


def fresh_noise(layout: Layout, round_: NoisyRound, bits: RandomBits) -> NDArray[np.int64]:
    """Independent noise for the model's coordinates, int64, shape (layout.model_size,)."""
    plan = NoisePlan(model_sensitivity(layout, round_.clipping_norm), round_.noise_multiplier)
    return discrete_gaussian(plan.variance_steps, layout.model_size, bits)


class CorrelatedSource:
    """The noise of one lineage: a secret key gives each round's fresh noise, the same whenever it is asked for."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def advance(
        self, kept: Mapping[int, NDArray[np.float64]], layout: Layout, round_: NoisyRound
    ) -> dict[int, NDArray[np.float64]]:
        """The noise of a round, and of the rounds before it that later ones still need, by number."""

        def draw(number: int) -> NDArray[np.int64]:
            seed = hmac.digest(self._key, b"fedrec/correlated-noise/1" + number.to_bytes(8, "little"), "sha256")
            return fresh_noise(layout, round_, RandomBits(seed))

        return advance(kept, round_.number, round_.coefficients or (1.0,), draw)


def clip_count_noise(clipping: AdaptiveClipping) -> NoisePlan:
    """Noise on the count of clipped reports, to which one participant adds at most one."""
    return NoisePlan(1 << fixed_point.METRIC_FRACTION_BITS, clipping.count_noise)


def model_sensitivity(layout: Layout, maximum_norm: float) -> int:
    """Grid steps: the norm that intake lets pass, and half a step of rounding in every coordinate."""
    return math.ceil(maximum_norm * (1 + NORM_TOLERANCE) * layout.scale + math.sqrt(layout.model_size) / 2)


def metrics_sensitivity(layout: Layout, manifest: TaskManifest) -> int:
    """Grid steps: all of [evaluations, sums] are at most the largest number of evaluations."""
    coordinates = 1 + len(layout.metric_names)
    largest = manifest.report.maximum_evaluations * 2.0**fixed_point.METRIC_FRACTION_BITS + 0.5
    return math.ceil(largest * math.sqrt(coordinates))
