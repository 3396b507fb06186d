"""A crowd: 10,000 participants check in with long poll, 1,000 of them at a time, on one API process."""

import statistics
from collections.abc import Iterator

from benchmarks.harness.crowd import Seen, run_crowd
from benchmarks.harness.deployment import Deployment, deployment, manifest, report
from benchmarks.harness.measurement import AtLeast, AtMost, Measurement
from benchmarks.harness.usage import cpu_seconds, memory_bytes, peak_memory_bytes

_PARTICIPANTS, _IN_FLIGHT = 10_000, 1000
_SECONDS, _WAIT_SECONDS = 60.0, 10
_REPORTS, _MODEL_BYTES = 5, 4000


def measure() -> Iterator[Measurement]:
    """Rounds of 5 reports go on meanwhile: with larger ones there is work for everybody, and nobody waits to the end.

    Participants, worker and Postgres have the same cores.
    """
    with deployment() as running:
        task = manifest("crowd", size_bytes=_MODEL_BYTES, reports=_REPORTS, rounds=100_000)
        tokens = running.enrol_directly(task, _PARTICIPANTS)
        before = memory_bytes(running.api_pid), cpu_seconds(running.api_pid)
        seen = run_crowd(
            running.stack.aggregator_url,
            tokens,
            report(_MODEL_BYTES),
            in_flight=_IN_FLIGHT,
            seconds=_SECONDS,
            wait_seconds=_WAIT_SECONDS,
        )
        yield from _outcome(seen)
        yield from _cost(running, seen, *before)


def _outcome(seen: Seen) -> Iterator[Measurement]:
    errors = ", ".join(f"{kind}: {count}" for kind, count in sorted(seen.errors.items()))
    answers = ", ".join(f"{kind}: {count}" for kind, count in sorted(seen.answers.items()))
    yield Measurement("answers other than deliberate ones", float(seen.errors.total()), "", AtMost(0), errors or "none")
    yield Measurement("check-ins answered", sum(seen.answered) / seen.seconds, "/s", None, answers)
    if len(seen.late_seconds) > 1:
        late = statistics.quantiles(seen.late_seconds, n=100)
        remark = f"{len(seen.late_seconds)} waited in vain; median {late[49]:.2f} s, "
        remark += f"latest {max(seen.late_seconds):.2f} s"
        yield Measurement("answered after the time to wait was over, 99 %", late[98], "s", AtMost(2), remark)
    asked = [count for count in seen.asked if count]
    ignored = sum(1 for asked_, answered in zip(seen.asked, seen.answered, strict=True) if asked_ and not answered)
    remark = f"of {len(asked)} who asked {min(asked)} to {max(asked)} times; the others' turn did not come"
    yield Measurement("participants who asked and had no answer", float(ignored), "", AtMost(0), remark)
    remark = "Jain's index of answers ÷ check-ins, among those who asked; 1 is even"
    shares = [answered / asked_ for asked_, answered in zip(seen.asked, seen.answered, strict=True) if asked_]
    yield Measurement("fairness of answers", _fairness(shares), "", AtLeast(0.95), remark)
    remark = f"{sum(seen.reported)} reports by {seen.participants - seen.reported.count(0)} participants, "
    remark += "each after the pause that it was told"
    yield Measurement("most reports of one participant", float(max(seen.reported)), "", None, remark)


def _cost(running: Deployment, seen: Seen, memory: int, cpu: float) -> Iterator[Measurement]:
    grown = (peak_memory_bytes(running.api_pid) - memory) / 1e6
    remark = f"{memory / 1e6:.0f} MB before; {1000 * grown / _IN_FLIGHT:.0f} KB for each in flight"
    yield Measurement("peak memory of the API above that at rest", grown, "MB", AtMost(100), remark)
    used = (cpu_seconds(running.api_pid) - cpu) / sum(seen.answered)
    yield Measurement("CPU time of the API for each answer", 1000 * used, "ms", None, "reports included")


def _fairness(shares: list[float]) -> float:
    """Jain, Chiu and Hawe 1984: 1 when all have the same, 1 / n when one has everything."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 0.0
