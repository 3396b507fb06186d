"""Lists of fixed-size entries, one for each of some positions in ascending order."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence


def join_entries(entries: Mapping[int, bytes]) -> bytes:
    """The entries, ascending by position."""
    return b"".join(entries[position] for position in sorted(entries))


def split_entries(blob: bytes, positions: Iterable[int], size: int) -> dict[int, bytes]:
    """The entries by position.

    Raises:
        ValueError: the blob does not hold one entry of `size` bytes for each position.
    """
    ordered = sorted(positions)
    if len(blob) != size * len(ordered):
        raise ValueError(f"{len(blob)} bytes for {len(ordered)} entries of {size}")
    return {position: blob[index * size : (index + 1) * size] for index, position in enumerate(ordered)}


def entry_of(blob: bytes, positions: Sequence[int], position: int, size: int) -> bytes:
    """One position's entry of a blob whose length was checked before; `positions` ascend."""
    index = bisect_left(positions, position)
    return blob[index * size : (index + 1) * size]
