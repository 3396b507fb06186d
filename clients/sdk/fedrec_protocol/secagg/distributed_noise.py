"""Noise that participants add inside the mask, so that no sum exists anywhere without it."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.noise.random_bits import RandomBits
from fedrec_protocol.noise.skellam import MAXIMUM_VARIANCE, skellam
from fedrec_protocol.privacy import DistributedPrivacy

_LEAST_DEVIATION_STEPS = 50


class NoiseDoesNotFit(ValueError):
    """The grid is too coarse, or too fine, for the noise."""


@dataclass(frozen=True)
class DistributedNoise:
    """The noise of one task's masked sums, in grid steps."""

    bound_steps: int
    """L2 bound on one participant's integers, before noise: the sensitivity."""
    participant_variance: int
    """What each participant adds."""
    counted_variance: int
    """What is certainly there: the parts of the honest among the fewest survivors."""

    @classmethod
    def of(cls, manifest: TaskManifest) -> "DistributedNoise | None":
        """The noise that a manifest asks of its participants; None where the server adds it, or nobody.

        Raises:
            NoiseDoesNotFit: saying what to change.
        """
        policy, honest = manifest.privacy, manifest.honest_survivors
        if not isinstance(policy, DistributedPrivacy):
            return None
        bound = math.floor(math.ldexp(manifest.report.maximum_norm, manifest.fraction_bits))
        total = math.ceil((policy.noise_multiplier * bound) ** 2)
        if total < _LEAST_DEVIATION_STEPS**2:
            raise NoiseDoesNotFit("the noise spans fewer than 50 grid steps: raise secure_aggregation.value_bits")
        part = participant_variance(total, honest)
        if part > MAXIMUM_VARIANCE:
            raise NoiseDoesNotFit("a participant's noise spans more than 2^16 grid steps: lower value_bits")
        return cls(bound, part, honest * part)


def participant_variance(total_variance: int, honest_survivors: int) -> int:
    """What each participant adds so that any sum that is released has at least the total.

    A round with fewer than U_min survivors is aborted, so the parts of the honest among U_min are always there; more
    survivors bring more noise than is charged.
    """
    return -(-total_variance // honest_survivors)


def with_own_noise(
    vector: NDArray[np.int64], variance: int, model_coordinates: int, bits: RandomBits
) -> NDArray[np.int64]:
    """A participant's vector with its part of the noise on the model's coordinates, int64, same shape."""
    noisy = vector.copy()
    noisy[:model_coordinates] += skellam(variance, model_coordinates, bits)
    return noisy


def noise_variance(manifest: TaskManifest, kind: RoundKind) -> int:
    """What a round's descriptor states of it: each participant's part, 0 for none."""
    noise = DistributedNoise.of(manifest) if kind is RoundKind.TRAINING else None
    return 0 if noise is None else noise.participant_variance
