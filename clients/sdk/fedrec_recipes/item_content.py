"""What is known of items before anybody chose them: features in a recipe's configuration, one bit for each."""

import base64
import binascii
import zlib

import numpy as np
from numpy.typing import NDArray


def pack_content(features: NDArray[np.bool_]) -> str:
    """Bits of shape (number_of_items, number_of_features), row by row, deflated, as base64; nothing where none are."""
    bits = np.packbits(np.asarray(features, dtype=np.bool_))
    return base64.b64encode(zlib.compress(bits.tobytes(), 9)).decode() if bits.size else ""


def unpack_content(packed: str, number_of_items: int, number_of_features: int) -> NDArray[np.bool_]:
    """The features, shape (number_of_items, number_of_features).

    Raises:
        ValueError: not what `pack_content` makes, or not as many bits as there are features.
    """
    count = number_of_items * number_of_features
    size = -(-count // 8)
    try:
        # One byte more than there should be: what is too long is refused before it is long.
        content = zlib.decompressobj().decompress(base64.b64decode(packed, validate=True), size + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"content is not packed features: {error}") from error
    if len(content) != size:
        raise ValueError(f"content has not {count} bits, one for each feature of each item")
    bits = np.unpackbits(np.frombuffer(content, dtype=np.uint8), count=count)
    return bits.astype(np.bool_).reshape(number_of_items, number_of_features)
