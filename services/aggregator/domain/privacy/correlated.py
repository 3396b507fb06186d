"""Correlated noise: each round's noise takes back part of the noise of the rounds before.

A Gaussian matrix mechanism A = B C on the running sum of updates: the release is that of C x + z, everything
else is arithmetic on it. C is lower-triangular Toeplitz with a few bands, so that a server keeps as many noise
vectors as there are bands, less one. The coefficients are those of the square root of the running-sum matrix, cut
at the bands (Fichtenberger, Henzinger and Upadhyay 2023, https://arxiv.org/abs/2202.11205; banded: Kalinin and
Lampert 2024, https://arxiv.org/abs/2405.13763): nearly optimal, in closed form, and the same on every machine.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from services.aggregator.domain.privacy.participation import ParticipationLimit


class SeparationTooSmall(ValueError):
    """Two rounds of one user may fall within the bands, for which this price does not hold."""


def banded_square_root(bands: int) -> tuple[float, ...]:
    """The first column of C: binomial(2 j, j) / 4**j for j below `bands`."""
    coefficients = [1.0]
    for j in range(1, bands):
        coefficients.append(coefficients[-1] * (2 * j - 1) / (2 * j))
    return tuple(coefficients)


def sensitivity(coefficients: Sequence[float], limit: ParticipationLimit, *, rounds: int, repeated: int = 0) -> float:
    """L2 norm of what one user changes in C x, for updates of norm 1.

    With at least as many rounds between a user's two as there are bands, the columns of C that the user is in
    do not overlap, and their squared norms add up. A round that was run again releases its row once more;
    at most one of the user's updates is in a row.

    Raises:
        SeparationTooSmall: the limit allows two rounds of one user within the bands.
    """
    if limit.minimum_separation < len(coefficients) and limit.most_participations(rounds) > 1:
        raise SeparationTooSmall(f"{len(coefficients)} bands need a separation of as many rounds")
    column = math.fsum(coefficient**2 for coefficient in coefficients)
    largest = max(coefficient**2 for coefficient in coefficients)
    return math.sqrt(limit.most_participations(rounds) * column + repeated * largest)


def next_noise(
    fresh: NDArray[np.int64], history: Sequence[NDArray[np.float64]], coefficients: Sequence[float]
) -> NDArray[np.float64]:
    """This round's row of C^-1 z, in grid steps: fresh noise less what earlier rounds still owe.

    Args:
        fresh: This round's discrete Gaussian noise, shape (d,).
        history: What this function returned for the rounds before, latest first; as many as there are.
        coefficients: First column of C.

    Returns:
        float64, shape (d,). Keep it, encrypted, for as many rounds as there are bands, less one, and add its
        rounding to the sum: whoever knows it knows the noise.
    """
    noise = fresh.astype(np.float64)
    for coefficient, earlier in zip(coefficients[1:], history, strict=False):
        noise -= coefficient * earlier
    return noise


def advance(
    kept: Mapping[int, NDArray[np.float64]],
    number: int,
    coefficients: Sequence[float],
    draw: Callable[[int], NDArray[np.int64]],
) -> dict[int, NDArray[np.float64]]:
    """The noise of round `number`, and of the rounds before it that later ones still need.

    Rounds that released nothing, because they were abandoned or only evaluated, have noise too: the rows of the
    matrix are the rounds' numbers, for these are what a minimum separation is counted in.

    Args:
        kept: What this function returned last, or nothing.
        number: Number of the round, at least the largest in `kept`.
        coefficients: First column of C, two or more.
        draw: Fresh discrete Gaussian noise of a round, the same whenever it is asked for.

    Returns:
        Noise vectors by round number: the last ones, as many as there are bands, less one.
    """
    noise, memory = dict(kept), len(coefficients) - 1
    for step in range(max(noise, default=0) + 1, number + 1):
        earlier = [noise[before] for before in range(step - 1, max(step - 1 - memory, 0), -1)]
        noise[step] = next_noise(draw(step), earlier, coefficients)
        noise.pop(step - memory, None)
    return noise
