"""Sets of roster positions as bitmaps: position i is bit i % 8 of byte i // 8."""

from collections.abc import Iterable


def encode_bitmap(positions: Iterable[int], size: int) -> bytes:
    """The set as ceil(size / 8) bytes.

    Raises:
        ValueError: a position outside the roster.
    """
    bitmap = bytearray(-(-size // 8))
    for position in positions:
        if not 0 <= position < size:
            raise ValueError(f"position {position} is not on a roster of {size}")
        bitmap[position // 8] |= 1 << position % 8
    return bytes(bitmap)


def decode_bitmap(bitmap: bytes, size: int) -> frozenset[int]:
    """The set that a bitmap spells.

    Raises:
        ValueError: another length, or bits behind the last position: one set, one spelling.
    """
    if len(bitmap) != -(-size // 8):
        raise ValueError(f"{len(bitmap)} bytes for a roster of {size}")
    positions = frozenset(i for i in range(8 * len(bitmap)) if bitmap[i // 8] >> i % 8 & 1)
    if any(position >= size for position in positions):
        raise ValueError("bits behind the last position")
    return positions
