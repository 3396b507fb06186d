"""Operations done to a fleet while a crowd reports, and what must hold whatever was done."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

import httpx
from sqlalchemy.exc import DBAPIError

from fedrec.local.postgres import PostgresFailed
from fedrec.local.process import ProcessFailed, ServiceProcess
from tests.integration.aggregator.deployment import Task
from tests.integration.aggregator.fleet import Fleet, until
from tests.soak import breakpoints, checks
from tests.soak.breakpoints import Breakpoint, Step
from tests.soak.clocks import SharedClock
from tests.soak.coverage import Coverage
from tests.soak.homes import Home
from tests.soak.operations import Operation, Verb
from tests.soak.tally import Tally
from tests.soak.tasks import DEADLINE_SECONDS, PATIENCE_SECONDS, Tasks

ARRIVAL_SECONDS = 8.0
SECURE_ARRIVAL_SECONDS = 20.0
"""A masked round takes five phases, an encrypted one two, and noise is remembered of rounds of few people."""
REPLICAS = (1, 3)
"""API processes and workers each, at least and at most."""

_SECURE = frozenset({Step.ADVERTISE, Step.SHARE, Step.CONFIRM, Step.REVEAL, Step.END_PHASE}) | {
    Step.OFFER_SUM,
    Step.DECRYPT,
    Step.SETTLE,
    Step.REMEMBER_NOISE,
}


class Machine:
    """A fleet on which operations are done while tasks run."""

    def __init__(
        self,
        fleet: Fleet,
        home: Home,
        clock: SharedClock,
        tasks: Tasks,
        tally: Tally,
        coverage: Coverage,
        patience: float,
    ) -> None:
        self._fleet = fleet
        self._home = home
        self._clock = clock
        self._tasks = tasks
        self._tally = tally
        self._coverage = coverage
        self._patience = patience
        self._mending_in = 0

    # ---- operations ------------------------------------------------------------------------------

    def do(self, operation: Operation) -> None:
        """One operation; afterwards every process runs again, and nothing may have gone wrong."""
        self._tally.operations += 1
        with contextlib.suppress(DBAPIError):  # our own connection to a Postgres that we are ending
            if operation.breakpoint_ is None:
                self._at_any_moment(operation)
            else:
                self._at(operation, operation.breakpoint_)
        self._mending_in -= 1
        if self._mending_in == 0:
            self._home.mend()
        self._revive()
        self._tasks.require_well()
        if self._mending_in <= 0:
            checks.require_receipts_for_sums(self._fleet)

    def _at(self, operation: Operation, breakpoint_: Breakpoint) -> None:
        if self._mending_in <= 0:
            until(self._is_manned, patience_seconds=PATIENCE_SECONDS)  # somebody must be there to arrive
        patience = self._patience * (SECURE_ARRIVAL_SECONDS if breakpoint_.step in _SECURE else ARRIVAL_SECONDS)
        with self._provoked(breakpoint_.step):
            with breakpoints.closed(self._fleet.engine, breakpoint_) as connection:
                stopped = breakpoints.first_to_arrive(connection, breakpoint_, patience_seconds=patience)
                process = None if stopped is None else self._fleet.stack.processes.get(stopped.process)
                if stopped is None or process is None:
                    return
                self._tally.stopped[operation.verb, breakpoint_] += 1
                self._coverage.add((operation.verb, breakpoint_))
                self._to_the_stopped(operation, process, partial(breakpoints.disconnect, connection, stopped))
            if operation.verb is Verb.FREEZE_AT:
                # The breakpoint is open: the others go on beside the frozen one, and over its leases.
                self._let_sleep(process, operation.seconds)

    def _to_the_stopped(self, operation: Operation, process: ServiceProcess, cut_off: Callable[[], None]) -> None:
        match operation.verb:
            case Verb.KILL_AT:
                process.kill()
            case Verb.CUT_OFF_AND_KILL_AT:
                process.suspend()  # or it would try again at once
                try:
                    cut_off()
                finally:
                    process.kill()
            case Verb.CUT_OFF_AT:
                cut_off()
            case Verb.FREEZE_AT:
                process.suspend()
            case Verb.CRASH_POSTGRES_AT:
                self._fleet.postgres.stop(immediately=True)

    def _at_any_moment(self, operation: Operation) -> None:
        processes = list(self._fleet.stack.processes.values())
        process = processes[operation.number % len(processes)]
        match operation.verb:
            case Verb.KILL:
                time.sleep(operation.seconds / 4)
                process.kill()
            case Verb.FREEZE:
                process.suspend()
                self._let_sleep(process, operation.seconds)
            case Verb.RESTART:
                process.stop()
            case Verb.ADD | Verb.REMOVE:
                self._scale(operation)
            case Verb.STOP_POSTGRES:
                self._fleet.postgres.stop(immediately=True)
            case Verb.KILL_POSTGRES:
                self._fleet.postgres.kill()
            case Verb.BREAK_HOME:
                self._break_home(operation)
            case Verb.JUMP:
                self._clock.jump(operation.seconds)
            case Verb.PAUSE:
                self._steer("pause")
                time.sleep(operation.seconds)
                self._steer("resume")
            case Verb.CANCEL:
                self._steer("cancel", self._tasks.starving)
            case _:
                time.sleep(operation.seconds)

    def _let_sleep(self, frozen: ServiceProcess, seconds: float) -> None:
        try:
            self._fleet.let_leases_expire()
            time.sleep(seconds)
        finally:
            frozen.resume()  # also where Postgres is not there to be asked

    def _scale(self, operation: Operation) -> None:
        stack = self._fleet.stack
        kind = ("aggregator", "worker")[operation.number % 2]
        names = [name for name in stack.processes if name.startswith(kind)]
        fewest, most = REPLICAS
        if operation.verb is Verb.ADD and len(names) < most:
            with contextlib.suppress(ProcessFailed):  # the objects' home may be away: it is started again
                stack.add(**{f"{kind}s": 1})
        elif operation.verb is Verb.REMOVE and len(names) > fewest:
            self._fleet.aggregator_urls = [
                url for url in stack.aggregator_urls if url != stack.processes[names[-1]].url
            ]
            stack.remove(names[-1])
        self._fleet.aggregator_urls = stack.aggregator_urls

    def _break_home(self, operation: Operation) -> None:
        self._home.mend()
        if self._home.troubles:
            self._home.break_(self._home.troubles[operation.number % len(self._home.troubles)])
            self._mending_in = 3
        time.sleep(operation.seconds)

    @contextlib.contextmanager
    def _provoked(self, step: Step) -> Iterator[None]:
        """Bring a step about that the crowd does not, or seldom, or not soon."""
        match step:
            case Step.ABANDON | Step.OPEN:
                self._clock.jump(2 * DEADLINE_SECONDS)
                yield
            case Step.STEER | Step.ENROL:
                thread = threading.Thread(target=self._ask, args=(step,))
                thread.start()
                yield
                thread.join()
            case _:
                yield

    def _ask(self, step: Step) -> None:
        with contextlib.suppress(httpx.TransportError):
            if step is Step.STEER:
                self._steer("pause")
                self._steer("resume")
            else:
                self._fleet.http.post(
                    "/v1/enrolments",
                    json={"public_key": "A" * 43},
                    headers={"Authorization": f"Bearer {self._tasks.fed.enrolment_key}"},
                )

    def _steer(self, verb: str, task: Task | None = None) -> None:
        """Ask once, of a process that may be dead."""
        with contextlib.suppress(httpx.TransportError):
            answer = (task or self._tasks.fed).steer(verb)
            assert answer.status_code in {200, 409, 503}, answer.text

    # ---- what must hold --------------------------------------------------------------------------

    def settle(self) -> None:
        """Nothing is broken any more: the tasks go on, every round ends, and each holds what was promised."""
        self._home.mend()
        until(self._is_ready, patience_seconds=PATIENCE_SECONDS)
        self._fleet.let_leases_expire()
        self._steer("resume")
        self._tasks.require_progress()
        self._tasks.compare(self._tally)

    # ---- helpers ---------------------------------------------------------------------------------

    def _is_ready(self) -> bool:
        """Whether everything runs; what ended, because Postgres came up after it, is started again."""
        self._revive()
        return all(map(answers, self._fleet.stack.processes.values()))

    def _is_manned(self) -> bool:
        """Whether one process of each kind runs."""
        self._revive()
        running = {
            process.name.partition("-")[0] for process in self._fleet.stack.processes.values() if answers(process)
        }
        return running == {"registry", "aggregator", "worker"}

    def _revive(self) -> None:
        """Start again what is not running, as whoever keeps services alive would."""
        if not self._fleet.postgres.is_running:
            with contextlib.suppress(PostgresFailed):  # its disk may be full
                self._fleet.postgres.start()
        for process in self._fleet.stack.processes.values():
            if not process.is_running:
                process.start()


def answers(process: ServiceProcess) -> bool:
    """Whether a process is ready now."""
    try:
        process.wait_until_ready(0.0)
    except ProcessFailed:
        return False
    return True
