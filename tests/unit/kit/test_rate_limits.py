"""Token buckets: what a rate and a burst mean, and that they forget nobody who matters."""

from __future__ import annotations

import pytest

from services.kit import rate_limits
from services.kit.rate_limits import Rate, RateLimit


class Time:
    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def accepted(limit: RateLimit, credential: str, times: int) -> int:
    return sum(limit.take(credential) == 0 for _ in range(times))


def test_a_rested_credential_may_be_used_a_burst_at_once_and_then_at_its_rate() -> None:
    time = Time()
    limit = RateLimit("test", Rate(per_second=4, burst=10), time)
    assert accepted(limit, "a", 50) == 10
    assert limit.take("a") == pytest.approx(0.25)
    time.seconds += 0.25
    assert accepted(limit, "a", 50) == 1
    time.seconds += 1.0
    assert accepted(limit, "a", 50) == 4
    time.seconds += 1000.0
    assert accepted(limit, "a", 50) == 10


def test_whoever_waits_as_long_as_told_is_served() -> None:
    time = Time()
    limit = RateLimit("test", Rate(per_second=3, burst=2), time)
    served = 0
    for _ in range(100):
        wait = limit.take("a")
        served += wait == 0
        time.seconds += wait * 1.000001
    assert served >= 50


def test_credentials_do_not_share_a_bucket() -> None:
    limit = RateLimit("test", Rate(per_second=1, burst=3), Time())
    assert accepted(limit, "a", 5) == 3
    assert accepted(limit, "b", 5) == 3


def test_full_buckets_are_forgotten_and_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limits, "_REMEMBERED", 100)
    time = Time()
    limit = RateLimit("test", Rate(per_second=1, burst=5), time)
    for number in range(100):
        limit.take(f"idle {number}")
    time.seconds += 2.0
    assert accepted(limit, "busy", 10) == 5
    assert list(limit._full_at) == ["busy"]
    for number in range(10_000):
        limit.take(f"many {number}")
        assert len(limit._full_at) <= 101
