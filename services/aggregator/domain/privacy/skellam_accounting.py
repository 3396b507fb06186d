"""The price of Skellam noise, by Renyi divergence: privacy loss distributions of it are not in the library.

Agarwal, Kairouz and Liu 2021, theorem 3.5, https://arxiv.org/abs/2110.04995.
"""

from collections.abc import Sequence

from services.aggregator.domain.privacy.events import SkellamRelease

ORDERS = tuple(range(2, 129)) + tuple(range(136, 1025, 8))
"""Integer orders: the bound is proven for them."""


def epsilon(releases: Sequence[SkellamRelease], target_delta: float) -> float:
    """Epsilon at delta of the composition of these releases."""
    from dp_accounting.rdp import compute_epsilon  # noqa: PLC0415 - takes a second to import

    divergences = [sum(renyi_divergence(release, order) for release in releases) for order in ORDERS]
    return float(compute_epsilon(ORDERS, divergences, target_delta)[0])


def renyi_divergence(release: SkellamRelease, order: int) -> float:
    """Bound on the Renyi divergence of this order between neighbouring sums.

    alpha * l2**2 / (2 mu) + min(((2 alpha - 1) * l2**2 + 6 l1) / (4 mu**2), 3 l1 / (2 mu)).
    """
    variance, l2_squared, l1 = release.variance, release.l2_steps**2, release.l1_steps
    gaussian_part = order * l2_squared / (2 * variance)
    excess = min(((2 * order - 1) * l2_squared + 6 * l1) / (4 * variance**2), 3 * l1 / (2 * variance))
    return gaussian_part + excess
