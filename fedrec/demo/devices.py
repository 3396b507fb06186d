"""The people's devices: a few processes, a thread for each person, each with a store of its own.

A device sees its own person's ratings and what it downloads; nothing else is handed to it.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from fedrec_recipes.recipe import History
from fedrec_sdk import Participant
from fedrec_sdk.errors import FedrecError
from fedrec_sdk.transport import Transport

_DEVICES_PER_POOL = 8


@dataclass(frozen=True)
class Device:
    """One person's device before it starts."""

    person: int
    history: History
    """Everything but the last film, which is the test."""


@dataclass(frozen=True)
class Fleet:
    """What all devices need to know, and where they keep their stores."""

    aggregator_url: str
    registry_url: str
    enrolment_key: str
    directory: Path


class Devices:
    """Running devices, as the demonstration drives them: from outside, by question and answer."""

    def __init__(self, processes: list[multiprocessing.process.BaseProcess], pipes: list[Connection]) -> None:
        self._processes = processes
        self._pipes = pipes

    def recommend(self, k: int) -> dict[int, list[int]]:
        """Every person's top-k items, best first, computed on the devices from the promoted version."""
        for pipe in self._pipes:
            pipe.send(k)
        answers: dict[int, list[int]] = {}
        for pipe in self._pipes:
            try:
                answer = pipe.recv()
            except EOFError as error:
                raise RuntimeError("a process of devices has ended by itself") from error
            if isinstance(answer, str):
                raise RuntimeError(f"a device failed: {answer}")
            answers |= answer
        return answers

    def require_running(self) -> None:
        """Raise RuntimeError when a process of devices has ended by itself."""
        for process in self._processes:
            if not process.is_alive():
                raise RuntimeError(f"a process of devices ended with exit status {process.exitcode}")


@contextmanager
def run_devices(fleet: Fleet, devices: Sequence[Device], *, processes: int = 2) -> Iterator[Devices]:
    """Start the devices, hand them over, and stop all of them at the end of the block."""
    # One thread for each device is enough: more from the numerical libraries would only fight over the cores.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1")
    spawn = multiprocessing.get_context("spawn")
    started, pipes = [], []
    try:
        for index in range(processes):
            here, there = spawn.Pipe()
            process = spawn.Process(target=_process, args=(fleet, devices[index::processes], there), daemon=True)
            process.start()
            there.close()  # so that reading from a process that has ended fails instead of waiting
            started.append(process)
            pipes.append(here)
        yield Devices(list(started), pipes)
    finally:
        for process in started:
            process.kill()  # a device may be switched off at any moment, and these stores are thrown away
        for process in started:
            process.join()
        for pipe in pipes:
            pipe.close()


def _process(fleet: Fleet, devices: Sequence[Device], pipe: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; only the parent decides
    participants = dict(_participants(fleet, devices))
    for participant in participants.values():
        threading.Thread(target=participant.run, daemon=True).start()
    try:
        while True:
            pipe.send(_answer(participants, pipe.recv()))
    except (EOFError, OSError):
        os._exit(0)  # whoever started us is gone; threads may be waiting for the server


def _participants(fleet: Fleet, devices: Sequence[Device]) -> Iterator[tuple[int, Participant]]:
    # The connection pool looks at all its connections under one lock for each request: a pool for hundreds of
    # devices spends most of its time on that, and a pool for each costs hundreds of TLS contexts.
    for start in range(0, len(devices), _DEVICES_PER_POOL):
        transport = Transport(maximum_connections=2 * _DEVICES_PER_POOL)
        for device in devices[start : start + _DEVICES_PER_POOL]:
            yield device.person, _participant(fleet, device, transport)


def _answer(participants: Mapping[int, Participant], k: int) -> dict[int, list[int]] | str:
    try:
        return {person: _top(participant, k) for person, participant in participants.items()}
    except FedrecError as error:
        return f"{type(error).__name__}: {error}"


def _participant(fleet: Fleet, device: Device, transport: Transport) -> Participant:
    participant = Participant(
        fleet.aggregator_url,
        fleet.enrolment_key,
        fleet.directory / f"person-{device.person}",
        seed=device.person,
        registry_url=fleet.registry_url,
        transport=transport,
    )
    participant.record_many(device.history)
    return participant


def _top(participant: Participant, k: int) -> list[int]:
    participant.refresh_model()
    return [recommendation.item for recommendation in participant.recommend(k)]
