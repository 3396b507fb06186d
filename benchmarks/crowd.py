"""A crowd: 10,000 participants check in with long poll, 1,000 of them at a time, on one API process."""

import statistics
from collections.abc import Iterator

from benchmarks.harness.crowd import Seen, run_crowd
from benchmarks.harness.deployment import Deployment, deployment, manifest, report
from benchmarks.harness.measurement import AtLeast, AtMost, Measurement
from benchmarks.harness.usage import cpu_seconds, memory_bytes, peak_memory_bytes

_PARTICIPANTS, _IN_FLIGHT = 10_000, 1000
_SECONDS, _WAIT_SECONDS = 60.0, 10
_REPORTS, _MODEL_BYTES = 100, 4000


def measure() -> Iterator[Measurement]:
    """Rounds of 100 reports go on meanwhile. Participants, worker and Postgres have the same cores."""
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
    answers = ", ".join(f"{kind}: {count}" for kind, count in sorted(seen.answers.items()))
    yield Measurement("answers other than deliberate ones", float(seen.errors.total()), "", AtMost(0), str(seen.errors))
    yield Measurement("check-ins answered", sum(seen.answered) / seen.seconds, "/s", None, answers)
    late = statistics.quantiles(seen.late_seconds, n=100)
    remark = f"median {late[49]:.2f} s, latest {max(seen.late_seconds):.2f} s"
    yield Measurement("answered after the time to wait was over, 99 %", late[98], "s", AtMost(2), remark)
    never = seen.answered.count(0)
    each = statistics.quantiles(seen.answered, n=10)
    remark = f"10 %: {each[0]:.0f}, median {each[4]:.0f}, 90 %: {each[8]:.0f} answers each; {never} had none"
    yield Measurement("fairness of answers (Jain)", _fairness(seen.answered), "", AtLeast(0.8), remark)
    remark = f"{sum(seen.reported)} reports by {seen.participants - seen.reported.count(0)} participants, "
    yield Measurement("fairness of reports (Jain)", _fairness(seen.reported), "", None, remark + "1 is even")


def _cost(running: Deployment, seen: Seen, memory: int, cpu: float) -> Iterator[Measurement]:
    grown = (peak_memory_bytes(running.api_pid) - memory) / 1e6
    remark = f"{memory / 1e6:.0f} MB before; {1000 * grown / _IN_FLIGHT:.0f} KB for each in flight"
    yield Measurement("peak memory of the API above that at rest", grown, "MB", AtMost(100), remark)
    used = (cpu_seconds(running.api_pid) - cpu) / sum(seen.answered)
    yield Measurement("CPU time of the API for each answer", 1000 * used, "ms", None, "reports included")


def _fairness(counts: list[int]) -> float:
    """Jain, Chiu and Hawe 1984: 1 when all have the same, 1 / n when one has everything."""
    squares = sum(count * count for count in counts)
    return sum(counts) ** 2 / (len(counts) * squares) if squares else 0.0
