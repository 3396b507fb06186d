"""From one process to two: what a report costs, and how many are taken in a second."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.harness.deployment import Deployment, deployment, manifest, report
from benchmarks.harness.measurement import AtMost, Measurement
from benchmarks.harness.senders import send_reports
from benchmarks.harness.usage import cpu_seconds, family_cpu_seconds
from fedrec.local.process import ServiceProcess

_SIZE_BYTES = 100_000
_EACH = 800
"""Reports to each process."""
_TURNS = 3
_WARM_UP = 64
_CONNECTIONS = 32


@dataclass(frozen=True)
class Taken:
    """What it took to take reports in."""

    count: int
    seconds: float
    cpu_seconds: float
    """Of all API processes."""
    postgres_cpu_seconds: float


def measure() -> Iterator[Measurement]:
    """Reports of one round, as many to each process: to one, then to two side by side."""
    with deployment() as running:
        first = running.stack.processes["aggregator-0"]
        [second] = running.stack.add(aggregators=1)
        pairs = [
            (_take_in(running, f"one-{turn}", [first]), _take_in(running, f"two-{turn}", [first, second]))
            for turn in range(_TURNS)
        ]
    yield _cost("the APIs", [(one.cpu_seconds / one.count, two.cpu_seconds / two.count) for one, two in pairs])
    shares = [(one.postgres_cpu_seconds / one.count, two.postgres_cpu_seconds / two.count) for one, two in pairs]
    yield _cost("Postgres", shares)
    one, two = sorted(pairs, key=_gain)[len(pairs) // 2]
    rate, rate_of_two = (taken.count / taken.seconds for taken in (one, two))
    cores = len(os.sched_getaffinity(0))
    remark = f"{rate:.0f}/s to {rate_of_two:.0f}/s; sender and Postgres on the same {cores} cores"
    yield Measurement("reports a second, two processes ÷ one", rate_of_two / rate, "", None, remark)


def _cost(whose: str, pairs: list[tuple[float, float]]) -> Measurement:
    """If two processes pay for a report what one does, twice the cores take twice the reports."""
    one, two = sorted(pairs, key=lambda pair: pair[1] / pair[0])[len(pairs) // 2]
    remark = f"{1e3 * two:.2f} ms each, against {1e3 * one:.2f}; 1 is linear"
    return Measurement(f"CPU of {whose} for a report, two processes ÷ one", two / one, "", AtMost(1.25), remark)


def _gain(pair: tuple[Taken, Taken]) -> float:
    one, two = pair
    return (two.count / two.seconds) / (one.count / one.seconds)


def _take_in(running: Deployment, name: str, processes: list[ServiceProcess]) -> Taken:
    body = report(_SIZE_BYTES)
    count, warm_up = _EACH * len(processes), _WARM_UP * len(processes)
    # One more than will come: the round stays open, so that nothing but intake is measured.
    tokens = running.enrol_directly(
        manifest(name, size_bytes=_SIZE_BYTES, reports=count + warm_up + 1), count + warm_up
    )
    assignments = running.check_in(tokens, processes)  # who keeps a connection asks and reports at one process
    shares = [slice(start, None, len(processes)) for start in range(len(processes))]

    def send(part: slice) -> float:
        chosen = list(zip(processes, shares, strict=True))

        def to(process: ServiceProcess, share: slice) -> float:
            mine, theirs = assignments[part][share], tokens[part][share]
            return send_reports(str(process.url), mine, theirs, body, connections=_CONNECTIONS).seconds

        with ThreadPoolExecutor(len(chosen)) as pool:
            return max(pool.map(lambda pair: to(*pair), chosen))

    send(slice(count, None))

    def used() -> tuple[float, float]:
        return sum(cpu_seconds(process.pid) for process in processes), family_cpu_seconds(running.postgres_pid)

    before = used()
    seconds = send(slice(0, count))
    after = used()
    return Taken(count, seconds, after[0] - before[0], after[1] - before[1])
