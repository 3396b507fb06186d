"""How many distinct participants asked recently, in little memory, at several processes.

The k smallest hash values (Bar-Yossef et al. 2002, "Counting distinct elements in a data stream"): if the k-th
smallest of n uniform numbers is v, then n is about (k - 1) / v, with a standard error of 1 / sqrt(k - 2). The k
smallest values of a union are among the k smallest of its parts: whoever asks several processes is counted once.
"""

import hashlib
import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

_KEPT = 1024  # a standard error of 3%
_SPAN = timedelta(minutes=20)
_SPANS = 3
_LARGEST = 2**64


@dataclass(frozen=True)
class Sketch:
    """What one process tells the others of those who asked it."""

    span: int
    """Which twenty minutes."""
    smallest: bytes
    """At most 1024 hash values, 8 bytes each, little-endian."""


class RecentParticipants:
    """Counts who asked within the last 40 to 60 minutes, here or at another process."""

    def __init__(self) -> None:
        self._spans: dict[int, _Smallest] = {}
        self._elsewhere: dict[int, set[int]] = {}
        self._untold: set[int] = set()

    def add(self, client_ids: Iterable[str], now: datetime) -> None:
        """Note who asks here now."""
        span = _span(now)
        for old in [number for number in self._spans if number < oldest_span(now)]:
            del self._spans[old]
        smallest = self._spans.setdefault(span, _Smallest())
        for client_id in client_ids:
            if smallest.add(int.from_bytes(hashlib.blake2s(client_id.encode(), digest_size=8).digest(), "big")):
                self._untold.add(span)

    def estimate(self, now: datetime) -> float:
        """Their number: exact up to a thousand."""
        here = [smallest.values for span, smallest in self._spans.items() if span >= oldest_span(now)]
        elsewhere = [values for span, values in self._elsewhere.items() if span >= oldest_span(now)]
        values = sorted(set[int]().union(*here, *elsewhere))
        if len(values) < _KEPT:
            return float(len(values))
        return (_KEPT - 1) * _LARGEST / values[_KEPT - 1]

    def untold(self) -> list[Sketch]:
        """What has changed here since the others were last told of it."""
        return [Sketch(span, self._spans[span].packed()) for span in sorted(self._untold & self._spans.keys())]

    def learn(self, sketches: Iterable[Sketch]) -> None:
        """Replace what is known of the other processes, who have been told all there was."""
        self._elsewhere, self._untold = {}, set()
        for sketch in sketches:
            values = np.frombuffer(sketch.smallest, "<u8").tolist()
            self._elsewhere.setdefault(sketch.span, set()).update(values)


def oldest_span(now: datetime) -> int:
    """The oldest twenty minutes that still count."""
    return _span(now) - _SPANS + 1


def _span(now: datetime) -> int:
    return int(now.timestamp() // _SPAN.total_seconds())


class _Smallest:
    """The smallest of the numbers that were added."""

    def __init__(self) -> None:
        self.values: set[int] = set()
        self._largest_first: list[int] = []

    def add(self, value: int) -> bool:
        """Whether it is among the smallest, and was not there before."""
        if value in self.values:
            return False
        if len(self.values) < _KEPT:
            heapq.heappush(self._largest_first, -value)
        elif value < -self._largest_first[0]:
            self.values.discard(-heapq.heapreplace(self._largest_first, -value))
        else:
            return False
        self.values.add(value)
        return True

    def packed(self) -> bytes:
        """The values, 8 bytes each, little-endian."""
        return np.fromiter(self.values, "<u8", len(self.values)).tobytes()
