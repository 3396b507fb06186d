"""The people's devices: a few processes, a thread for each person, each with a store of its own.

A device sees its own person's ratings and what it downloads; nothing else is handed to it.
"""

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event
from pathlib import Path

from fedrec_recipes.recipe import History
from fedrec_sdk import Participant
from fedrec_sdk.errors import FedrecError
from fedrec_sdk.transport import Transport

_JOIN_SECONDS = 20


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
            answer = pipe.recv()
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
    spawn = multiprocessing.get_context("spawn")
    stop = spawn.Event()
    started, pipes = [], []
    for index in range(processes):
        here, there = spawn.Pipe()
        process = spawn.Process(target=_process, args=(fleet, devices[index::processes], there, stop), daemon=True)
        process.start()
        started.append(process)
        pipes.append(here)
    try:
        yield Devices(list(started), pipes)
    finally:
        stop.set()
        for process in started:
            process.join(_JOIN_SECONDS)
            if process.is_alive():
                process.kill()


def _process(fleet: Fleet, devices: Sequence[Device], pipe: Connection, stop: Event) -> None:
    stopping = threading.Event()
    # Ctrl-C reaches every process of the terminal's group; only the parent decides.
    threading.Thread(target=_relay, args=(stop, stopping), daemon=True).start()
    with Transport(maximum_connections=len(devices)) as transport:
        participants = {device.person: _participant(fleet, device, transport) for device in devices}
        for participant in participants.values():
            threading.Thread(target=_run, args=(participant, stopping), daemon=True).start()
        while not stopping.is_set():
            if pipe.poll(0.2):
                k = pipe.recv()
                try:
                    pipe.send({person: _top(participant, k) for person, participant in participants.items()})
                except FedrecError as error:
                    pipe.send(f"{type(error).__name__}: {error}")
    os._exit(0)  # threads may be waiting for the server; there is nothing left to finish


def _relay(stop: Event, stopping: threading.Event) -> None:
    stop.wait()
    stopping.set()


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


def _run(participant: Participant, stop: threading.Event) -> None:
    participant.run(stop=stop)


def _top(participant: Participant, k: int) -> list[int]:
    participant.refresh_model()
    return [recommendation.item for recommendation in participant.recommend(k)]
