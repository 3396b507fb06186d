"""What a round costs beside the training: check in, download, report, fold, close and publish, over loopback."""

import hashlib
import itertools
import os
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from benchmarks.harness.deployment import Deployment, deployment, manifest, report
from benchmarks.harness.measurement import AtMost, Measurement
from benchmarks.harness.usage import cpu_seconds, family_cpu_seconds
from fedrec_protocol.codec import MEDIA_TYPE
from fedrec_protocol.digest import content_digest
from fedrec_protocol.privacy import CentralPrivacy

_PARTICIPANTS = 10
_WARM_UP, _ROUNDS = 2, 10
_CASES = ((4_000_000, "4 MB", AtMost(0.5)), (100_000, "0.1 MB", AtMost(0.1)))
_OTHERS = (
    ("NVIDIA FLARE 2.9, 4 MB model", 2.5),
    ("Flower 1.42, 4 MB model", 10.6),
    ("Flower 1.42, 0.1 MB model", 10.4),
)
"""Seconds a round, with as many participants that train nothing, on a quiet machine of two cores."""


def measure() -> Iterator[Measurement]:
    """Time from the first assignment of a round to that of the next, which opens when the round is published."""
    with deployment() as running:
        for size, model, mark in _CASES:
            seconds, cpu = time_rounds(running, size)
            used = ", ".join(f"{name} {each:.2f}" for name, each in cpu.items())
            remark = f"median of {len(seconds)}, fastest {min(seconds):.3f}; CPU-s a round: {used}"
            what = f"round, {_PARTICIPANTS} participants, {model} model"
            yield Measurement(what, statistics.median(seconds), "s", mark, remark)
    for what, seconds_each in _OTHERS:
        yield Measurement(f"for comparison: {what}", seconds_each, "s", remark="measured before, when quiet")


class _Starts:
    """When each round's first assignment was given out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: dict[int, float] = {}

    def note(self, round_number: int) -> None:
        with self._lock:
            self._seconds.setdefault(round_number, time.perf_counter())

    def between(self) -> list[float]:
        """Seconds from each round to the next."""
        starts = [self._seconds[number] for number in sorted(self._seconds)]
        return [following - start for start, following in itertools.pairwise(starts)]


def time_rounds(
    running: Deployment,
    size_bytes: int,
    *,
    participants: int = _PARTICIPANTS,
    privacy: CentralPrivacy | None = None,
    turn: int = 0,
) -> tuple[list[float], dict[str, float]]:
    """Seconds each round took, without the first ones; and the CPU time of a round by process.

    The same task again is another `turn`.
    """
    budget = _WARM_UP + _ROUNDS + 1
    name = f"{'round' if privacy is None else 'private-round'}-{size_bytes}-{participants}-{turn}"
    task = manifest(name, size_bytes=size_bytes, reports=participants, rounds=budget, privacy=privacy)
    tokens = running.enrol(task, participants)
    starts, body = _Starts(), report(size_bytes)
    before = _cpu_seconds(running)
    with ThreadPoolExecutor(participants) as pool:
        for taking_part in [pool.submit(_take_part, running, token, body, starts) for token in tokens]:
            taking_part.result()
    after = _cpu_seconds(running)
    return starts.between()[_WARM_UP:], {name: (after[name] - before[name]) / budget for name in after}


def _cpu_seconds(running: Deployment) -> dict[str, float]:
    used = {name: cpu_seconds(process.pid) for name, process in running.stack.processes.items()}
    used["postgres"] = family_cpu_seconds(running.postgres_pid)
    return used | {"participants": cpu_seconds(os.getpid())}


def _take_part(running: Deployment, token: str, body: bytes, starts: _Starts) -> None:
    """A participant that trains nothing: what it reports was made before, and is hashed as it must be."""
    credential = {"Authorization": f"Bearer {token}"}
    with httpx.Client(headers=credential, timeout=60, trust_env=False) as http:
        while (assignment := _check_in(http, running.stack.aggregator_url)) is not None:
            starts.note(assignment["round_number"])
            weights = http.get(assignment["base"]["url"]).raise_for_status().content
            if hashlib.sha256(weights).hexdigest() != assignment["base"]["digest"]:
                raise RuntimeError("the downloaded weights are not those of the assignment")
            url = f"{running.stack.aggregator_url}/v1/assignments/{assignment['assignment_id']}/report"
            fields = {"Content-Type": MEDIA_TYPE, "Content-Digest": content_digest(body)}
            http.post(url, content=body, headers=fields).raise_for_status()


def _check_in(http: httpx.Client, url: str) -> dict[str, Any] | None:
    """The next assignment, as soon as there is one; None when the task has ended."""
    while True:
        answer = http.post(f"{url}/v1/check-ins", json={}, headers={"Prefer": "wait=30"}).raise_for_status().json()
        if answer["outcome"] == "assigned":
            assignment: dict[str, Any] = answer["assignment"]
            return assignment
        if answer["reason"] == "task-ended":
            return None
