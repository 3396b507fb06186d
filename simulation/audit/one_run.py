"""A lower bound of epsilon from guesses about canaries: Steinke, Nasr and Jagielski 2023.

"Privacy auditing with one (1) training run", https://arxiv.org/abs/2305.08846. Each of m canaries takes part if its own
fair coin says so; the auditor guesses some of the coins. Theorem 5.2 bounds how many guesses can be right if the
training is (epsilon, delta)-private; more right guesses than that refute the claim.
"""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.stats import binom, norm

LARGEST_EPSILON = 30.0
_CERTAIN = 20.0
"""Standard deviations at which no guess is wrong."""
_SHARES = (0.8, 0.5, 0.2, 0.1, 0.05, 0.02)
"""Of the canaries that are guessed. Never all: the coins may fall unevenly, and then some guesses cannot be right."""


def right_guesses(scores: NDArray[np.floating], is_included: NDArray[np.bool_], guesses: int) -> int:
    """Guess that the `guesses` / 2 highest scores are of canaries that took part, and the lowest of others.

    Args:
        scores: Larger where a canary rather took part, shape (m,).
        is_included: The coins, shape (m,).
        guesses: An even number of canaries to guess; the others are passed over.

    Returns:
        How many of the guesses are right.
    """
    order = np.argsort(scores, kind="stable")
    half = guesses // 2
    return int(np.count_nonzero(is_included[order[-half:]]) + np.count_nonzero(~is_included[order[:half]]))


def p_value(*, canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """The largest probability of so many right guesses under any (epsilon, delta)-private training."""
    accuracy = 1 / (1 + math.exp(-epsilon))
    tail = float(binom.sf(right - 1, guesses, accuracy))
    # P[right - i <= Binomial < right] / i, at its largest: what delta can move over the threshold.
    steps = np.arange(1, right + 1)
    shifted = np.cumsum(binom.pmf(right - steps, guesses, accuracy)) / steps
    return min(1.0, tail + 2 * canaries * delta * float(shifted.max(initial=0.0)))


def epsilon_lower_bound(*, canaries: int, guesses: int, right: int, delta: float, confidence: float) -> float:
    """The largest epsilon that the guesses refute with this confidence; 0 where they refute none."""

    def margin(epsilon: float) -> float:
        chance = p_value(canaries=canaries, guesses=guesses, right=right, epsilon=epsilon, delta=delta)
        return chance - (1 - confidence)

    if margin(0.0) >= 0:
        return 0.0
    if margin(LARGEST_EPSILON) < 0:
        return LARGEST_EPSILON
    return float(brentq(margin, 0.0, LARGEST_EPSILON, xtol=1e-4)) - 1e-4


def gaussian_separation(epsilon: float | None, delta: float) -> float:
    """Standard deviations between the scores of two Gaussians of this price; 20 where there is none.

    The distance that a ledger allows, whatever the mechanism: from it follows how many canaries to guess.
    """
    from dp_accounting import get_epsilon_gaussian  # noqa: PLC0415 - takes a second to import

    if epsilon is None:
        return _CERTAIN

    def excess(log_separation: float) -> float:
        return float(get_epsilon_gaussian(math.exp(-log_separation), delta)) - epsilon

    least, most = math.log(1e-3), math.log(_CERTAIN)
    if excess(least) >= 0:
        return math.exp(least)
    return _CERTAIN if excess(most) <= 0 else math.exp(float(brentq(excess, least, most, xtol=1e-6)))


def guesses_for(canaries: int, separation: float, *, delta: float, confidence: float) -> int:
    """How many canaries to guess, so that the bound is best where the scores are as separate as the ledger says.

    It must be fixed before the scores are seen: the best of several tries would not have the confidence.

    Args:
        canaries: m.
        separation: Distance of the two groups' scores in standard deviations, of a Gaussian mechanism.
        delta: At which epsilon is bounded.
        confidence: Of the bound.
    """

    def promised(guesses: int) -> float:
        right = math.floor(guesses * _accuracy(guesses / canaries, separation))
        return epsilon_lower_bound(canaries=canaries, guesses=guesses, right=right, delta=delta, confidence=confidence)

    return max(_counts(canaries), key=promised)


def _counts(canaries: int) -> Iterable[int]:
    return [max(2 * round(share * canaries / 2), 2) for share in _SHARES]


def _accuracy(share: float, separation: float) -> float:
    """Share of right guesses among the extreme scores of two Gaussians of equal size."""
    half = separation / 2

    def excess(threshold: float) -> float:
        above = norm.sf(threshold - half) + norm.sf(threshold + half)
        return float(above / 2 - share / 2)

    threshold = brentq(excess, 0.0, half + 10)
    return float(norm.sf(threshold - half) / share)
