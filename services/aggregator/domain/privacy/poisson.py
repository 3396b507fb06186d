"""Poisson sampling: a coin for every enrolled participant, flipped by the server and by nobody's availability."""

from collections.abc import Sequence

import numpy as np

from fedrec_protocol.noise.random_bits import RandomBits

_NEGLIGIBLE = 2.0**-40


class CohortTooLarge(ValueError):
    """A round might have no room for everybody who is drawn."""


def draw_cohort(
    enrolled: Sequence[str], sampling_probability: float, bits: RandomBits, maximum_cohort: int | None = None
) -> list[str]:
    """The cohort of one round, in order of enrolment.

    Amplification may be claimed for it only if everybody in it is waited for or counted as a zero, and nobody
    outside it reports; and only while who is in the cohort stays secret.

    Args:
        enrolled: Everybody who could be drawn, whether reachable now or not.
        sampling_probability: The coin's, rounded down to a multiple of 2**-64.
        bits: Where randomness comes from.
        maximum_cohort: Size above which a uniformly random part is taken.
    """
    threshold = np.uint64(min(int(sampling_probability * 2**64), 2**64 - 1))
    drawn = np.flatnonzero(bits.words(len(enrolled)) < threshold)
    if maximum_cohort is not None and len(drawn) > maximum_cohort:
        # Ties of 64-bit words would favour the earlier enrolled, with a probability below 2**-30.
        drawn = np.sort(drawn[np.argsort(bits.words(len(drawn)))[:maximum_cohort]])
    return [enrolled[index] for index in drawn.tolist()]


def draw_all(enrolled: Sequence[str], sampling_probability: float, room: int, bits: RandomBits) -> list[str]:
    """The cohort of one round that has room for everybody who is drawn.

    Leaving somebody out would not be a Poisson sample. Whether there is room is decided by how many are enrolled,
    not by who was drawn.

    Raises:
        CohortTooLarge: more than `room` would be drawn with a probability above 2**-40.
    """
    from scipy.stats import binom  # noqa: PLC0415 - takes a second to import, and few tasks sample

    if binom.sf(room, len(enrolled), sampling_probability) > _NEGLIGIBLE:
        raise CohortTooLarge(
            f"{len(enrolled)} enrolled participants, each drawn with probability {sampling_probability:g}, may be more "
            f"than the {room} that a round has room for: make a task with a larger goal or a smaller probability"
        )
    return draw_cohort(enrolled, sampling_probability, bits)
