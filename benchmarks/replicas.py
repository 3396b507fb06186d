"""From one process to two: what a report costs, and how many are taken in a second."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.harness.deployment import Deployment, deployment, manifest, report
from benchmarks.harness.measurement import AtMost, Measurement
from benchmarks.harness.senders import send_reports
from benchmarks.harness.usage import cpu_seconds
from fedrec.local.process import ServiceProcess

_SIZE_BYTES = 100_000
_EACH = 800
"""Reports to each process."""
_WARM_UP = 64
_CONNECTIONS = 32


@dataclass(frozen=True)
class Taken:
    """What it took to take reports in."""

    count: int
    seconds: float
    cpu_seconds: float
    """Of all API processes."""


def measure() -> Iterator[Measurement]:
    """Reports of one round, as many to each process: to one, then to two side by side."""
    with deployment() as running:
        first = running.stack.processes["aggregator-0"]
        one = _take_in(running, "one", [first])
        [second] = running.stack.add(aggregators=1)
        two = _take_in(running, "two", [first, second])
    each, each_of_two = (1e3 * taken.cpu_seconds / taken.count for taken in (one, two))
    remark = f"{each_of_two:.2f} ms each, against {each:.2f}; 1 is linear"
    yield Measurement("CPU of a report, two processes ÷ one", each_of_two / each, "", AtMost(1.25), remark)
    rate, rate_of_two = (taken.count / taken.seconds for taken in (one, two))
    cores = len(os.sched_getaffinity(0))
    remark = f"{rate:.0f}/s to {rate_of_two:.0f}/s; sender and Postgres on the same {cores} cores"
    yield Measurement("reports a second, two processes ÷ one", rate_of_two / rate, "", None, remark)


def _take_in(running: Deployment, name: str, processes: list[ServiceProcess]) -> Taken:
    body = report(_SIZE_BYTES)
    count, warm_up = _EACH * len(processes), _WARM_UP * len(processes)
    # One more than will come: the round stays open, so that nothing but intake is measured.
    tokens = running.enrol(manifest(name, size_bytes=_SIZE_BYTES, reports=count + warm_up + 1), count + warm_up)
    assignments = running.check_in(tokens)
    shares = [slice(start, None, len(processes)) for start in range(len(processes))]

    def send(part: slice) -> float:
        chosen = list(zip(processes, shares, strict=True))

        def to(process: ServiceProcess, share: slice) -> float:
            mine, theirs = assignments[part][share], tokens[part][share]
            return send_reports(str(process.url), mine, theirs, body, connections=_CONNECTIONS).seconds

        with ThreadPoolExecutor(len(chosen)) as pool:
            return max(pool.map(lambda pair: to(*pair), chosen))

    send(slice(count, None))
    before = sum(cpu_seconds(process.pid) for process in processes)
    seconds = send(slice(0, count))
    return Taken(count, seconds, sum(cpu_seconds(process.pid) for process in processes) - before)
