"""How long to wait: exponential backoff with full jitter, and server-steered pace with jitter on top."""

import random
from dataclasses import dataclass, field
from datetime import timedelta


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff with full jitter.

    Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015): a wait drawn uniformly
    from the whole interval spreads the retries of many devices better than one around its end.
    """

    base: float = 0.25
    """Longest wait after the first failure, in seconds; doubles with every further one."""
    cap: float = 5.0
    """Longest wait, in seconds."""
    source: random.Random = field(default_factory=random.Random)
    """Where the jitter comes from."""

    def seconds(self, failures: int, retry_after: timedelta | None = None) -> float:
        """The wait after so many failures in a row (at least 1), never below `retry_after`."""
        jitter = self.source.uniform(0.0, min(self.cap, self.base * 2.0 ** min(failures - 1, 32)))
        return jitter + (retry_after.total_seconds() if retry_after is not None else 0.0)

    def paced(self, retry_after: timedelta, refusals: int) -> float:
        """The wait after so many check-ins in a row without work.

        The first wait is what the server asked for: it has spread the devices already. Later ones add up
        to as much again, so that devices refused together do not return together.
        """
        # "Come back at once" said twice is a server that cannot hold requests, not an invitation to spin.
        seconds = max(retry_after.total_seconds(), self.base if refusals > 1 else 0.0)
        spread = 0.25 * min(max(refusals - 1, 0), 4)
        return seconds + self.source.uniform(0.0, spread * seconds)
