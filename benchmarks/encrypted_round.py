"""A round of five silos over HTTP with plain, masked and encrypted reports: the same sum, and what it takes."""

import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.harness.deployment import Deployment, deployment
from benchmarks.harness.measurement import AtLeast, Measurement
from benchmarks.harness.secure_devices import KnownUpdate
from benchmarks.harness.usage import cpu_seconds, family_cpu_seconds
from fedrec_protocol import codec
from fedrec_protocol.encrypted.parameters import Scheme
from fedrec_protocol.homomorphic_encryption import HomomorphicEncryption
from fedrec_protocol.manifest import RecipeChoice, ReportFormat, RoundPolicy, StopCriteria, TaskManifest, Weighting
from fedrec_protocol.messages import RoundState
from fedrec_protocol.operator_messages import RoundView
from fedrec_protocol.secure_aggregation import SecureAggregation
from fedrec_protocol.tensors import TensorSpec
from fedrec_sdk import Contributed, Participant
from fedrec_sdk.silo.key import make_silo_key

_SILOS, _COORDINATES, _VALUE_BITS = 5, 1_000_000, 24
_LONGEST_SECONDS = 240.0


def measure() -> Iterator[Measurement]:
    """CPU of the services and the database, and of the silos, beside those of a round of plain reports."""
    with tempfile.TemporaryDirectory() as folder, deployment() as running:
        kinds = {"plain": {}, "masked": {"secure_aggregation": _masks()}, **_encrypted(Path(folder))}
        published: dict[str, bytes] = {}
        for kind, terms in kinds.items():
            key = Path(folder) / f"{kind}.key"
            seconds, used, published[kind] = _round(running, kind, terms, Path(folder), key if key.exists() else None)
            silos = used.pop("participants")
            parts = ", ".join(f"{name} {each:.2f}" for name, each in used.items())
            what = f"round of {_SILOS} silos, 1M parameters, {kind} reports"
            remark = f"silos {silos:.2f} s CPU together; {parts}; {seconds:.1f} s"
            yield Measurement(f"{what}: services and database", sum(used.values()), "s CPU", remark=remark)
        same = {published[kind] for kind in kinds if kind != "plain"}
        yield Measurement("masked and encrypted sums are the same bits", float(len(same) == 1), "", AtLeast(1))


def _masks() -> SecureAggregation:
    return SecureAggregation(modulus_bits=32, value_bits=_VALUE_BITS, minimum_cohort=_SILOS)


def _encrypted(folder: Path) -> dict[str, dict[str, Any]]:
    kinds = {}
    for scheme in Scheme:
        key = make_silo_key(folder / f"{scheme}.key", scheme)
        terms = HomomorphicEncryption(scheme=scheme, key_fingerprint=key.fingerprint, value_bits=_VALUE_BITS)
        kinds[scheme.value] = {"homomorphic_encryption": terms}
    return kinds


def _round(
    running: Deployment, kind: str, terms: dict[str, Any], folder: Path, silo_key: Path | None
) -> tuple[float, dict[str, float], bytes]:
    """Wall seconds, CPU seconds by process, and the published weights."""
    task_id = running.operator.create_task(_manifest(kind, terms)).task_id
    secret = running.operator.create_enrolment_key(task_id).secret
    url, stores = running.stack.aggregator_url, folder / kind
    silos = [
        Participant(url, secret, stores / f"{number}", KnownUpdate(number, _COORDINATES), seed=1, silo_key=silo_key)
        for number in range(_SILOS)
    ]
    before, started = _cpu(running), time.perf_counter()
    with ThreadPoolExecutor(_SILOS) as pool:
        list(pool.map(_contribute_once, silos))
    version_id = _published(running, task_id).published_version_id
    after, seconds = _cpu(running), time.perf_counter() - started
    used = {name: after[name] - before[name] for name in after}
    weights = codec.decode(running.operator.weights(version_id or ""))["weights"]
    return seconds, used, weights.tobytes()


def _contribute_once(silo: Participant) -> None:
    with silo:
        silo.run(until=lambda outcome: isinstance(outcome, Contributed))


def _published(running: Deployment, task_id: str) -> RoundView:
    ends = time.monotonic() + _LONGEST_SECONDS
    while time.monotonic() < ends:
        (first,) = [round_ for round_ in running.operator.rounds(task_id) if round_.number == 1]
        if first.state is RoundState.PUBLISHED:
            return first
        time.sleep(0.2)
    raise RuntimeError(f"the round was not published: {first.waiting_for}")


def _cpu(running: Deployment) -> dict[str, float]:
    used = {name: cpu_seconds(process.pid) for name, process in running.stack.processes.items()}
    used["postgres"] = family_cpu_seconds(running.postgres_pid)
    return used | {"participants": cpu_seconds(os.getpid())}


def _manifest(kind: str, terms: dict[str, Any]) -> TaskManifest:
    return TaskManifest(
        name=f"{kind}-silos",
        model=f"{kind}-silos",
        recipe=RecipeChoice(name="benchmark"),
        shared=(TensorSpec(name="weights", shape=(_COORDINATES,)),),
        report=ReportFormat(weighting=Weighting.UNIFORM, maximum_norm=2.0),
        rounds=RoundPolicy(aggregation_goal=_SILOS, minimum_reports=_SILOS),
        stop=StopCriteria(round_budget=1),
        **terms,
    )
