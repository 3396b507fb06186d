"""A secure round of 1,000 participants over HTTP, on a ring, a tenth of whom leave after sharing."""

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.harness.deployment import Deployment, deployment
from benchmarks.harness.measurement import AtLeast, Measurement
from benchmarks.harness.secure_devices import KnownUpdate, SecureDevices
from benchmarks.harness.usage import cpu_seconds, family_cpu_seconds
from fedrec_protocol import codec
from fedrec_protocol.manifest import RecipeChoice, ReportFormat, RoundPolicy, StopCriteria, TaskManifest, Weighting
from fedrec_protocol.messages import RoundState
from fedrec_protocol.operator_messages import RoundView
from fedrec_protocol.secagg.of_task import round_ring
from fedrec_protocol.secure_aggregation import SecureAggregation
from fedrec_protocol.tensors import DType, TensorSpec

_PEOPLE, _LEAVING, _COORDINATES = 1000, 100, 10_000
_REPORT_SECONDS = 240.0
"""Those who left are waited for so long."""
_OTHER_SECONDS = 900.0
_MEMORY = Path("/dev/shm")
_LONGEST_SECONDS = 900.0


def measure() -> Iterator[Measurement]:
    """Wall time by phase and CPU time by process; the round must publish the exact sum of those who stayed."""
    task = _manifest()
    ring = round_ring(task)
    folder = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=folder) as stores, deployment() as running:
        result = _round(running, task, Path(stores))
    degree, threshold = (0, 0) if ring is None else (ring.degree, ring.threshold)
    yield Measurement(
        f"round of {_PEOPLE} over HTTP, {_LEAVING} left after sharing: sum exact",
        float(result.is_exact),
        "",
        AtLeast(1),
        f"k={degree}, t={threshold}, {_COORDINATES} parameters; {result.state}",
    )
    phases = ", ".join(f"{name} {seconds:.0f}" for name, seconds in result.phases.items())
    yield Measurement("the same, wall time", sum(result.phases.values()), "s", remark=f"of that: {phases}")
    used = ", ".join(f"{name} {seconds:.0f}" for name, seconds in result.cpu.items())
    server = sum(seconds for name, seconds in result.cpu.items() if name != "participants")
    yield Measurement("the same, CPU of all server processes", server, "s CPU", remark=used)


class _Result:
    """What a round took and gave."""

    def __init__(self) -> None:
        self.phases: dict[str, float] = {}
        self.cpu: dict[str, float] = {}
        self.state = ""
        self.is_exact = False


def _round(running: Deployment, task: TaskManifest, stores: Path) -> _Result:
    result = _Result()
    task_id = running.operator.create_task(task).task_id
    key = running.operator.create_enrolment_key(task_id).secret
    trainers = [KnownUpdate(number, _COORDINATES) for number in range(_PEOPLE)]
    devices = SecureDevices(running.stack.aggregator_url, key, stores, trainers)
    before = _cpu(running)
    try:
        for phase in ("advertising", "sharing", "reporting", "confirming", "revealing"):
            if phase == "reporting":
                devices.leave(range(_LEAVING))
            started = time.perf_counter()
            devices.answer()
            _await_end(running, task_id, phase)
            result.phases[phase] = time.perf_counter() - started
    finally:
        devices.close()
    after = _cpu(running)
    result.cpu = {name: after[name] - before[name] for name in after}
    published = _first_round(running, task_id)
    result.state = f"{published.state}, {published.reports} reports"
    if published.published_version_id is not None:
        weights = codec.decode(running.operator.weights(published.published_version_id))["weights"]
        result.is_exact = _is_exact(weights, trainers[_LEAVING:], task.fraction_bits)
    return result


def _is_exact(mean: np.ndarray, staying: list[KnownUpdate], fraction_bits: int) -> bool:
    """Whether the published mean is that of the integers which the grid makes of the updates."""
    scale = 2.0**fraction_bits
    expected = sum((np.rint(trainer.update.astype(np.float64) * scale) for trainer in staying), np.zeros(_COORDINATES))
    return bool(np.array_equal(np.rint(mean * len(staying) * scale), expected))


def _await_end(running: Deployment, task_id: str, phase: str) -> None:
    """Return when the phase is over, by answers or by its time."""
    ends = time.monotonic() + _LONGEST_SECONDS
    while time.monotonic() < ends:
        round_ = _first_round(running, task_id)
        is_over = not round_.waiting_for.startswith(phase)
        if round_.state in {RoundState.PUBLISHED, RoundState.ABANDONED} or (is_over and phase != "revealing"):
            return
        time.sleep(0.5)
    raise RuntimeError(f"the phase {phase} did not end")


def _first_round(running: Deployment, task_id: str) -> RoundView:
    (first,) = [round_ for round_ in running.operator.rounds(task_id) if round_.number == 1]
    return first


def _cpu(running: Deployment) -> dict[str, float]:
    used = {name: cpu_seconds(process.pid) for name, process in running.stack.processes.items()}
    used["postgres"] = family_cpu_seconds(running.postgres_pid)
    return used | {"participants": cpu_seconds(os.getpid())}


def _manifest() -> TaskManifest:
    terms = SecureAggregation(
        modulus_bits=32,
        value_bits=20,
        minimum_cohort=_PEOPLE - 2 * _LEAVING,
        share_seconds=_OTHER_SECONDS,
        report_seconds=_REPORT_SECONDS,
        acknowledge_seconds=_OTHER_SECONDS,
        reveal_seconds=_OTHER_SECONDS,
    )
    return TaskManifest(
        name="secure-ring",
        model="secure-ring",
        recipe=RecipeChoice(name="benchmark"),
        shared=(TensorSpec(name="weights", shape=(_COORDINATES,), dtype=DType.F64),),
        report=ReportFormat(weighting=Weighting.UNIFORM, maximum_norm=2.0),
        rounds=RoundPolicy(aggregation_goal=_PEOPLE, minimum_reports=1, deadline_seconds=_OTHER_SECONDS),
        stop=StopCriteria(round_budget=1),
        secure_aggregation=terms,
    )
