"""How many distinct participants asked recently, in little memory.

The k smallest hash values (Bar-Yossef et al. 2002, "Counting distinct elements in a data stream"): if the k-th
smallest of n uniform numbers is v, then n is about (k - 1) / v, with a standard error of 1 / sqrt(k - 2).
"""

import hashlib
import heapq
from collections.abc import Iterable
from datetime import datetime, timedelta

_KEPT = 1024  # a standard error of 3%
_SPAN = timedelta(minutes=20)
_SPANS = 3
_LARGEST = 2**64


class RecentParticipants:
    """Counts who asked within the last 40 to 60 minutes."""

    def __init__(self) -> None:
        self._spans: dict[int, _Smallest] = {}

    def add(self, client_ids: Iterable[str], now: datetime) -> None:
        """Note who asks now."""
        span = self._span(now)
        for old in [number for number in self._spans if number <= span - _SPANS]:
            del self._spans[old]
        smallest = self._spans.setdefault(span, _Smallest())
        for client_id in client_ids:
            smallest.add(int.from_bytes(hashlib.blake2s(client_id.encode(), digest_size=8).digest(), "big"))

    def estimate(self, now: datetime) -> float:
        """Their number: exact up to a thousand."""
        oldest = self._span(now) - _SPANS
        recent = [smallest.values for number, smallest in self._spans.items() if number > oldest]
        values = sorted(set[int]().union(*recent))
        if len(values) < _KEPT:
            return float(len(values))
        return (_KEPT - 1) * _LARGEST / values[_KEPT - 1]

    def _span(self, now: datetime) -> int:
        return int(now.timestamp() // _SPAN.total_seconds())


class _Smallest:
    """The smallest of the numbers that were added."""

    def __init__(self) -> None:
        self.values: set[int] = set()
        self._largest_first: list[int] = []

    def add(self, value: int) -> None:
        if value in self.values:
            return
        if len(self.values) < _KEPT:
            heapq.heappush(self._largest_first, -value)
        elif value < -self._largest_first[0]:
            self.values.discard(-heapq.heapreplace(self._largest_first, -value))
        else:
            return
        self.values.add(value)
