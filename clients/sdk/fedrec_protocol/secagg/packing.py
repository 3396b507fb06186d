"""Vectors modulo 2**b as bytes: b / 8 little-endian bytes a coordinate."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.secagg.errors import Reason, Rejected
from fedrec_protocol.secagg.grid import Grid


def pack(words: NDArray[Any], grid: Grid) -> bytes:
    """The low b bits of each word, in order; `coordinates * b / 8` bytes."""
    width = grid.modulus_bits // 8
    octets = words.astype(grid.word, copy=False).view(np.uint8).reshape(len(words), grid.word.itemsize)
    return np.ascontiguousarray(octets[:, :width]).tobytes()


def unpack(body: bytes | memoryview, grid: Grid) -> NDArray[Any]:
    """The words of a body, dtype `grid.word`, shape (coordinates,).

    Raises:
        Rejected: a body of another length.
    """
    width = grid.modulus_bits // 8
    if len(body) != grid.coordinates * width:
        raise Rejected(Reason.MALFORMED, f"{len(body)} bytes for {grid.coordinates} coordinates of {width}")
    octets = np.frombuffer(body, np.uint8).reshape(grid.coordinates, width)
    padded = np.zeros((grid.coordinates, grid.word.itemsize), np.uint8)
    padded[:, :width] = octets
    return padded.view(grid.word).reshape(grid.coordinates)
