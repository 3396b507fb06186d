"""A soak: a deployment, and operations done to it for as long as one likes."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from fedrec.local.guard import temporary_directory
from fedrec.local.stack import local_stack
from tests.integration.aggregator.fleet import Fleet
from tests.soak import breakpoints
from tests.soak.clocks import FILE_VARIABLE, SharedClock
from tests.soak.homes import Home, HomeKind, open_home
from tests.soak.machine import Machine
from tests.soak.operations import Operation, operations
from tests.soak.tally import Tally

REPOSITORY = Path(__file__).resolve().parents[2]
OPERATIONS_OF_A_TASK = 20
"""After so many nothing is broken any more, and everything is compared; then new tasks begin."""
REQUEST_SECONDS = 10.0
REACHABLE = 0o711
"""Postgres runs as another user under root, and must get to its data."""


@dataclass
class Soak:
    """What is done, and what was done.

    Attributes:
        home: where objects live.
        seed: of the list of operations.
        start: how many operations of the list to leave out.
        progress: is told every operation before it is done.
    """

    home: HomeKind
    seed: int
    start: int = 0
    progress: Callable[[str], None] = lambda _: None
    tally: Tally = field(default_factory=Tally)
    done: list[Operation] = field(default_factory=list)
    logs: Path | None = None

    def run(self, *, seconds: float, most: int | None = None) -> None:
        """Do operations until the time is over, or so many were done; logs are kept when something was wrong."""
        ends = time.monotonic() + seconds
        listed = itertools.islice(operations(str(self.seed)), self.start, None if most is None else self.start + most)
        with temporary_directory("fedrec-soak-") as directory:
            directory.chmod(REACHABLE)
            try:
                with _deployment(self.home, directory) as (fleet, home, clock):
                    while time.monotonic() < ends and (batch := list(itertools.islice(listed, OPERATIONS_OF_A_TASK))):
                        self._one_pair_of_tasks(Machine(fleet, home, clock, f"{self.seed}", self.tally), batch, ends)
            except Exception:
                self.logs = Path(tempfile.mkdtemp(prefix="fedrec-soak-logs-"))
                shutil.copytree(directory / "logs", self.logs, dirs_exist_ok=True)
                raise

    def _one_pair_of_tasks(self, machine: Machine, batch: list[Operation], ends: float) -> None:
        self.done.clear()
        for operation in batch:
            if time.monotonic() > ends:
                break
            self.done.append(operation)
            self.progress(str(operation))
            machine.do(operation)
        self.progress("everything is mended: the task goes on, and its rounds are compared")
        machine.settle()


@contextlib.contextmanager
def _deployment(kind: HomeKind, directory: Path) -> Iterator[tuple[Fleet, Home, SharedClock]]:
    clock = SharedClock(directory / "clock")
    with open_home(kind, directory) as home:
        environment = home.environment | {
            "FEDREC_AGGREGATOR_LOG_LEVEL": "warning",
            "FEDREC_REGISTRY_LOG_LEVEL": "warning",
            "PYTHONPATH": os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")]),
            FILE_VARIABLE: str(directory / "clock"),
        }
        runner = ("tests.soak.clocks",)
        with local_stack(directory, aggregators=2, workers=2, environment=environment, runner=runner) as stack:
            fleet = Fleet(stack, clock, timeout_seconds=REQUEST_SECONDS)
            breakpoints.install(fleet.engine)
            try:
                yield fleet, home, clock
            finally:
                home.mend()
                fleet.close()
