"""The least noise multiplier whose price does not exceed a target."""

import math
from collections.abc import Callable

_RELATIVE_TOLERANCE = 5e-4
_START = 256.0


def smallest_multiplier(price: Callable[[float], float], target: float) -> float:
    """The z with price(z) <= target that is within a thousandth of the least; `price` falls as z grows."""
    from scipy.optimize import brentq  # noqa: PLC0415 - takes long to import

    known: dict[float, float] = {}

    def excess(log_multiplier: float) -> float:
        if log_multiplier not in known:
            # A price of zero is possible where delta alone covers a release; any number below serves.
            known[log_multiplier] = math.log(max(price(math.exp(log_multiplier)), 1e-9) / target)
        return known[log_multiplier]

    low, high = _bracket(excess)
    root = float(brentq(excess, low, high, xtol=_RELATIVE_TOLERANCE))
    while excess(root) > 0:
        root += _RELATIVE_TOLERANCE
    return math.exp(root)


def _bracket(excess: Callable[[float], float]) -> tuple[float, float]:
    """Logarithms of two multipliers around the target, approached from above: small multipliers price slowly."""
    high = math.log(_START)
    while excess(high) > 0:
        high += math.log(2)
    while True:
        low = high - math.log(2 if excess(high) < -math.log(3) else 1.2)
        if excess(low) > 0:
            return low, high
        high = low
