"""Token buckets, one for each credential, in the memory of one process."""

import threading
import time
from collections.abc import Callable

from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

_REMEMBERED = 100_000

_LIMITED = Counter("fedrec_rate_limited_total", "Requests refused because their credential was used too often", ["who"])


class Rate(BaseModel):
    """How often something may be done."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    per_second: PositiveFloat
    """Requests of one credential, in the long run."""
    burst: PositiveInt
    """Requests at once, after a rest."""


class RateLimit:
    """Counts requests by credential; each process counts for itself.

    The generic cell rate algorithm (ITU-T I.371): a token bucket whose whole state is the time at which it will be
    full again.
    """

    def __init__(self, who: str, rate: Rate, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Limit one kind of credential; `who` is its name in the metrics."""
        self._who = who
        self._seconds_each = 1 / rate.per_second
        self._burst_seconds = rate.burst / rate.per_second
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._full_at: dict[str, float] = {}

    def take(self, credential: str) -> float:
        """Count one request; returns 0, or in how many seconds it may come again."""
        now = self._monotonic()
        with self._lock:
            full_at = max(self._full_at.get(credential, now), now) + self._seconds_each
            wait = full_at - now - self._burst_seconds
            if wait <= 0:
                self._full_at[credential] = full_at
                if len(self._full_at) > _REMEMBERED:
                    self._forget(now)
                return 0.0
        _LIMITED.labels(self._who).inc()
        return wait

    def _forget(self, now: float) -> None:
        """A full bucket is as good as none. If all were in use, the oldest half starts anew."""
        self._full_at = {credential: at for credential, at in self._full_at.items() if at > now}
        while len(self._full_at) > _REMEMBERED // 2:
            del self._full_at[next(iter(self._full_at))]
