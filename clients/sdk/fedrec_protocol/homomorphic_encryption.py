"""What a task manifest promises about homomorphic encryption between silos."""

from typing import Self

from pydantic import Field, model_validator

from fedrec_protocol.base import Message
from fedrec_protocol.encrypted.parameters import LARGEST_SUM, MAXIMUM_REPORTS, Scheme

LEAST_REPORTS = 3
"""In a sum of two each silo, which sees the sum, reads the other's report."""


class HomomorphicEncryption(Message):
    """A few silos share a secret key; the server adds up ciphertexts and can read none of them.

    Silos report ciphertexts, fetch the encrypted sum when the round has closed, decrypt it and send it back.
    """

    scheme: Scheme = Scheme.CKKS
    """`ckks`, or `bfv` for the same sum in half the bytes."""
    key_fingerprint: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the silos' secret key, its scheme and its parameters: `fedrec privacy silo-key` prints it."""
    value_bits: int = Field(default=24, ge=8, le=30)
    """q: one silo's coordinates have q bits. N * 2**(q-1) must not exceed 2**30 for a cohort of N."""
    decryption_quorum: int = Field(default=2, ge=2)
    """Silos that must have decrypted the sum to the same integers before it is used."""
    decrypt_seconds: float = Field(default=600.0, ge=1, le=7 * 86400)
    """Time for decrypting the sum, once the round has closed."""

    @property
    def modulus_bits(self) -> int:
        """Bits that hold a decrypted sum of these values, in whole bytes."""
        return 32

    def require_room_for(self, cohort_size: int) -> None:
        """Refuse a cohort whose sum could wrap.

        Raises:
            ValueError: saying which of the numbers to change.
        """
        if cohort_size > MAXIMUM_REPORTS:
            raise ValueError(f"at most {MAXIMUM_REPORTS} silos take part in a round of encrypted reports")
        if cohort_size * 2 ** (self.value_bits - 1) > LARGEST_SUM:
            raise ValueError(
                f"{cohort_size} reports of {self.value_bits} bits can overflow an encrypted sum: lower value_bits"
            )

    @model_validator(mode="after")
    def _two_fit(self) -> Self:
        self.require_room_for(self.decryption_quorum)
        return self
