"""Types that the settings of both services share."""

import base64
import binascii
from typing import Annotated

from pydantic import BeforeValidator


def _secret(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        decoded = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (binascii.Error, ValueError) as error:
        raise ValueError("must be 32 random bytes as base64url") from error
    if len(decoded) != 32:
        raise ValueError("must be 32 random bytes as base64url")
    return decoded


SecretKey = Annotated[bytes, BeforeValidator(_secret)]
"""32 random bytes, written as base64url in the environment; declare the field with `repr=False`."""
