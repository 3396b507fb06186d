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
from tests.soak.coverage import Coverage
from tests.soak.homes import Home, HomeKind, open_home
from tests.soak.machine import Machine
from tests.soak.operations import Operation, operations
from tests.soak.tally import Tally
from tests.soak.tasks import REQUEST_SECONDS, Tasks

REPOSITORY = Path(__file__).resolve().parents[2]
OPERATIONS_OF_SOME_TASKS = 20
"""After so many nothing is broken any more, and everything is compared; then new tasks begin."""
REACHABLE = 0o711
"""Postgres runs as another user under root, and must get to its data."""


@dataclass
class Soak:
    """What is done, and what was done.

    Attributes:
        home: where objects live.
        seed: of the list of operations.
        start: how many operations of the list to leave out.
        coverage: what was reached before; what was not goes first.
        progress: is told every operation before it is done.
        patience: how many times as long as usual somebody's arrival at a breakpoint is waited for.
    """

    home: HomeKind
    seed: int
    start: int = 0
    coverage: Coverage = field(default_factory=Coverage)
    progress: Callable[[str], None] = lambda _: None
    patience: float = 1.0
    tally: Tally = field(default_factory=Tally)
    done: list[tuple[int, Operation]] = field(default_factory=list)
    logs: Path | None = None

    def run(self, *, seconds: float, most: int | None = None) -> None:
        """Do operations until the time is over, or so many were done; logs are kept when something was wrong."""
        ends = time.monotonic() + seconds
        listed = itertools.islice(enumerate(operations(str(self.seed))), self.start, None)
        chosen = itertools.islice(self.coverage.preferred(listed), most)
        with temporary_directory("fedrec-soak-") as directory:
            directory.chmod(REACHABLE)
            try:
                with _deployment(self.home, directory) as (fleet, home, clock):
                    while time.monotonic() < ends and (first := next(chosen, None)) is not None:
                        batch = itertools.chain([first], itertools.islice(chosen, OPERATIONS_OF_SOME_TASKS - 1))
                        tasks = Tasks(fleet, clock, directory / "devices", str(self.seed))
                        machine = Machine(fleet, home, clock, tasks, self.tally, self.coverage, self.patience)
                        self._do(machine, batch, ends)
            except Exception:
                self.logs = Path(tempfile.mkdtemp(prefix="fedrec-soak-logs-"))
                shutil.copytree(directory / "logs", self.logs, dirs_exist_ok=True)
                raise

    def _do(self, machine: Machine, batch: Iterator[tuple[int, Operation]], ends: float) -> None:
        self.done.clear()
        for number, operation in batch:
            self.done.append((number, operation))
            self.progress(str(operation))
            machine.do(operation)
            if time.monotonic() > ends:
                break
        self.progress("everything is mended: the tasks go on, and their rounds are compared")
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
