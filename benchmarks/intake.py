"""Taking reports in: CPU time of the API's process, and how many reports one process takes a second."""

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.deployment import Deployment, deployment, manifest, report
from benchmarks.harness.measurement import AtLeast, AtMost, Measurement
from benchmarks.harness.senders import Sent, send_reports
from benchmarks.harness.usage import cpu_seconds, family_cpu_seconds
from fedrec.local.ports import ReservedPort
from fedrec.local.process import ServiceProcess

_SMALL, _SMALL_COUNT = 100_000, 1500
_LARGE, _LARGE_COUNT = 4_000_000, 50
_TURNS = 3
_WARM_UP = 20
_CONNECTIONS = 64


@dataclass(frozen=True)
class Taken:
    """What it took to take reports in."""

    sent: Sent
    cpu_seconds: float
    """Of the API's process."""
    postgres_cpu_seconds: float
    received_bytes: int
    count: int


def measure() -> Iterator[Measurement]:
    """Reports of 100 KB and of 4 MB over loopback, all durable when they are answered."""
    with deployment() as running, _reading_service() as reading:
        # In turns, so that both have the same neighbours.
        pairs = [
            (_take_in(running, f"small-{turn}", _SMALL, _SMALL_COUNT), _read_only(reading, report(_SMALL)))
            for turn in range(_TURNS)
        ]
        large = _take_in(running, "large", _LARGE, _LARGE_COUNT)
    small, least = sorted(pairs, key=lambda pair: pair[0].cpu_seconds / pair[1])[len(pairs) // 2]
    for taken, size in ((small, "100 KB"), (large, "4 MB")):
        gigabytes = taken.received_bytes / 1e9
        remark = f"and {taken.postgres_cpu_seconds / gigabytes:.1f} in Postgres"
        yield Measurement(f"intake, {size} reports", taken.cpu_seconds / gigabytes, "CPU-s/GB", AtMost(3), remark)
    each, least_each = small.cpu_seconds / small.count, least / _SMALL_COUNT
    ratios = ", ".join(f"{taken.cpu_seconds / read:.2f}" for taken, read in pairs)
    remark = f"{each * 1e3:.2f} ms each, against {least_each * 1e3:.2f}; in turns {ratios}"
    yield Measurement("intake ÷ reading and hashing, 100 KB", each / least_each, "", AtMost(1.6), remark)
    rate = max(taken.count / taken.sent.seconds for taken, _ in pairs)
    remark = f"{_CONNECTIONS} connections; sender and Postgres on the same cores"
    yield Measurement("intake, 100 KB reports in one process", rate, "/s", AtLeast(600), remark)


def _take_in(running: Deployment, name: str, size_bytes: int, count: int) -> Taken:
    body = report(size_bytes)
    everybody = count + _WARM_UP
    # One more than will come: the round stays open, so that nothing but intake is measured.
    tokens = running.enrol_directly(manifest(name, size_bytes=size_bytes, reports=everybody + 1), everybody)
    assignments = running.check_in(tokens)
    url = running.stack.aggregator_url
    send_reports(url, assignments[count:], tokens[count:], body, connections=_CONNECTIONS)
    before = cpu_seconds(running.api_pid), family_cpu_seconds(running.postgres_pid)
    sent = send_reports(url, assignments[:count], tokens[:count], body, connections=_CONNECTIONS)
    after = cpu_seconds(running.api_pid), family_cpu_seconds(running.postgres_pid)
    return Taken(sent, after[0] - before[0], after[1] - before[1], count * len(body), count)


def _read_only(service: ServiceProcess, body: bytes) -> float:
    """CPU time in which the same server only reads and hashes the same bodies."""
    names, url = [f"asg_{number}" for number in range(_SMALL_COUNT)], str(service.url)
    send_reports(url, names[:_WARM_UP], names[:_WARM_UP], body, connections=_CONNECTIONS)
    before = cpu_seconds(service.pid)
    send_reports(url, names, names, body, connections=_CONNECTIONS)
    return cpu_seconds(service.pid) - before


@contextlib.contextmanager
def _reading_service() -> Iterator[ServiceProcess]:
    with tempfile.TemporaryDirectory(prefix="fedrec-bench-") as folder, contextlib.ExitStack() as undo:
        port = ReservedPort()
        undo.callback(port.release)
        module = ["services.kit.serving", "benchmarks.harness.reading_only:create_app", "--port", str(port.number)]
        service = ServiceProcess("reading-only", module, {}, log=Path(folder) / "reading-only.log", url=port.url)
        service.start()
        undo.callback(service.stop)
        service.wait_until_ready()
        yield service
