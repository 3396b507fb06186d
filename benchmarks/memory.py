"""Peak memory of the API's process: it must not grow with the number of participants."""

from collections.abc import Iterator

from benchmarks.harness.deployment import Deployment, deployment, manifest, report
from benchmarks.harness.measurement import AtMost, Measurement
from benchmarks.harness.senders import send_reports
from benchmarks.harness.usage import peak_memory_bytes

_TINY, _MODEL = 4_000, 4_000_000
_FEW, _MANY = 10, 100


def measure() -> Iterator[Measurement]:
    """All participants report at the same moment, each over a connection of its own, to a process just started."""
    with deployment() as running:
        few_base, few = _peak(running, _FEW)
        many_base, many = _peak(running, _MANY)
    remark = f"peak {few / 1e6:.0f} MB with {_FEW}, {many / 1e6:.0f} MB with {_MANY}"
    yield Measurement(f"peak memory, {_MANY} ÷ {_FEW} participants", many / few, "", AtMost(1.1), remark)
    growth = max(few - few_base, many - many_base) / _MODEL
    remark = f"with a tiny model {many_base / 1e6:.0f} MB; model of {_MODEL / 1e6:g} MB"
    yield Measurement("peak memory above that of a tiny model ÷ model", growth, "", AtMost(5), remark)


def _peak(running: Deployment, participants: int) -> tuple[int, int]:
    """Peak resident memory after as many participants reported a tiny model, and then one of `_MODEL` bytes."""
    api = running.stack.processes["aggregator-0"]
    api.restart()
    _take_in(running, participants, _TINY)
    base = peak_memory_bytes(api.pid)
    _take_in(running, participants, _MODEL)
    return base, peak_memory_bytes(api.pid)


def _take_in(running: Deployment, participants: int, size_bytes: int) -> None:
    """One round."""
    task = manifest(f"{participants}-of-{size_bytes}", size_bytes=size_bytes, reports=participants)
    tokens = running.enrol(task, participants)
    assignments = running.check_in(tokens)
    send_reports(running.stack.aggregator_url, assignments, tokens, report(size_bytes), connections=participants)
