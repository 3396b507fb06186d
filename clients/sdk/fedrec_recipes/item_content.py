"""What is known of items before anybody chose them: features in a recipe's configuration, one bit for each."""

import base64
import binascii

import numpy as np
from numpy.typing import NDArray


def pack_content(features: NDArray[np.bool_]) -> str:
    """Bits of shape (number_of_items, number_of_features), row by row, as base64.

    18 genres of 3,700 films take 11 kB of a manifest.
    """
    return base64.b64encode(np.packbits(np.asarray(features, dtype=np.bool_)).tobytes()).decode()


def unpack_content(packed: str, number_of_items: int, number_of_features: int) -> NDArray[np.bool_]:
    """The features, shape (number_of_items, number_of_features).

    Raises:
        ValueError: not base64, or not as many bits as there are features.
    """
    try:
        content = np.frombuffer(base64.b64decode(packed, validate=True), dtype=np.uint8)
    except binascii.Error as error:
        raise ValueError(f"content is not base64: {error}") from error
    count = number_of_items * number_of_features
    if len(content) != -(-count // 8):
        raise ValueError(f"content has {len(content)} bytes; {count} bits were expected")
    return np.unpackbits(content, count=count).astype(np.bool_).reshape(number_of_items, number_of_features)
