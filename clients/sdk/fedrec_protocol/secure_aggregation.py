"""What a task manifest promises about secure aggregation."""

from typing import Self

from pydantic import Field, model_validator

from fedrec_protocol.base import Message
from fedrec_protocol.secagg.descriptor import HARD_FLOOR

_WIDEST_MODULUS = 64
_Seconds = Field(default=60.0, ge=1, le=86400)


class SecureAggregation(Message):
    """The server learns the sum of a round's reports, and of no report anything else.

    A participant trains first and then joins: the round policy's `deadline_seconds` is the time until then, and
    the phases that follow take seconds, during which its device stays reachable. Everybody who joined by then
    is on the roster; the phases close as soon as all who are expected have answered.
    """

    modulus_bits: int = Field(default=24, ge=16, le=64, multiple_of=8)
    """b: sums are modulo 2**b, and a masked coordinate takes b / 8 bytes of upload."""
    value_bits: int = Field(default=16, ge=8, le=62)
    """q: one participant's coordinates have q bits. N * 2**(q-1) must stay below 2**(b-1) for a cohort of N."""
    minimum_cohort: int = Field(default=32, ge=HARD_FLOOR)
    """Fewest participants in a sum that is released; participants refuse to help with fewer."""
    share_seconds: float = _Seconds
    """Time for sending shares, after the roster is published at the latest."""
    report_seconds: float = _Seconds
    """Time for sending masked reports, after the shares are handed out."""
    acknowledge_seconds: float = _Seconds
    """Time for agreeing on whose reports are in the sum."""
    reveal_seconds: float = _Seconds
    """Time for revealing the shares that take the masks off the sum."""
    corrupt_fraction: float = Field(default=0.1, ge=0.1, lt=0.34)
    """Largest fraction of a cohort above 128 that may collude with the operator."""
    dropout_fraction: float = Field(default=0.1, ge=0.1, lt=0.34)
    """Largest fraction of a cohort above 128 that may leave between sharing and revealing."""

    @model_validator(mode="after")
    def _values_fit(self) -> Self:
        if self.value_bits >= self.modulus_bits:
            raise ValueError("value_bits must lie below modulus_bits: the rest is room for the sum")
        return self

    def require_room_for(self, cohort_size: int) -> None:
        """Refuse a cohort whose sum could wrap, or that is smaller than the floor.

        Raises:
            ValueError: saying which of the numbers to change.
        """
        if cohort_size < self.minimum_cohort:
            raise ValueError(f"a cohort of {cohort_size} can never reach minimum_cohort {self.minimum_cohort}")
        if cohort_size * 2 ** (self.value_bits - 1) >= 2 ** (self.modulus_bits - 1):
            raise ValueError(
                f"{cohort_size} reports of {self.value_bits} bits can overflow {self.modulus_bits} bits: "
                "raise modulus_bits, or lower value_bits"
            )


def smallest_modulus(value_bits: int, cohort_size: int) -> int:
    """The fewest bits, in whole bytes, modulo which the sum of so many values of `value_bits` cannot wrap.

    16 bits and up to 255 participants take 24, three quarters of a float32.

    Raises:
        ValueError: 64 bits do not suffice.
    """
    # cohort * 2**(q-1) < 2**(b-1), so b > q + log2(cohort).
    needed = value_bits + cohort_size.bit_length()
    modulus = max(-(-needed // 8) * 8, 16)
    if modulus > _WIDEST_MODULUS:
        raise ValueError(f"{cohort_size} values of {value_bits} bits do not fit in {_WIDEST_MODULUS} bits")
    return modulus
