"""Comparing a uniform real number with exp(-gamma) exactly, without knowing more of either than it takes."""

from collections.abc import Callable
from decimal import Decimal, localcontext
from fractions import Fraction

_WORD_BITS = 64


class LazyUniform:
    """A uniform real number in [0, 1), of which as many bits are drawn as comparisons have needed."""

    def __init__(self, first_word: int, draw_word: Callable[[], int]) -> None:
        self._bits, self._size, self._draw_word = first_word, _WORD_BITS, draw_word

    def is_below_exp(self, gamma: Fraction) -> bool:
        """Whether the number lies below exp(-gamma), for a rational gamma >= 0. The answer is exact."""
        while True:
            low, high = _exp_bounds(gamma, self._size)
            if self._bits + 1 <= low:
                return True
            if self._bits >= high:
                return False
            self._bits = self._bits << _WORD_BITS | self._draw_word()
            self._size += _WORD_BITS


def _exp_bounds(gamma: Fraction, bits: int) -> tuple[int, int]:
    """Integers around exp(-gamma) * 2**bits, a few units apart at most."""
    with localcontext() as context:
        # `Decimal.exp` is correctly rounded; what is lost is in the division, at most gamma units of the
        # last of `prec` digits, and gamma has fewer digits than the slack of 30.
        context.prec = bits // 3 + 30
        scaled = (-(Decimal(gamma.numerator) / Decimal(gamma.denominator))).exp() * (1 << bits)
        return int(scaled) - 1, int(scaled) + 2
