"""Lists of operations in any order: whatever happens, what was acknowledged is published, exactly once.

`FEDREC_STATEFUL_EXAMPLES=1000` with `--timeout 0` runs that many random lists instead of the same few, and shrinks
one that fails.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import text

from tests.integration.aggregator.book import Book, Work
from tests.integration.aggregator.deployment import Device
from tests.integration.aggregator.powers import powers_task
from tests.integration.aggregator.world import World
from tests.stateful.faults import Faults, When

EXAMPLES = int(os.environ.get("FEDREC_STATEFUL_EXAMPLES", "0"))
GOAL, MINIMUM = 3, 2
TOKEN_SECONDS = 600

SETTINGS = settings(
    max_examples=EXAMPLES or 10,
    stateful_step_count=40,
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    # Shrinking takes longer than the time limit of a test; it is for those who look for the cause.
    phases=list(Phase) if EXAMPLES else [Phase.generate],
)


class How(StrEnum):
    """What happens to a report on its way."""

    WELL = "well"
    TWICE = "twice"
    LOSING_THE_REQUEST = "losing the request"  # the connection ends in the middle of the body
    LOSING_THE_ANSWER = "losing the answer"  # counted any time from now on, and its device does not know
    BREAKING_BEFORE_THE_COMMIT = "breaking before the commit"
    BREAKING_AFTER_THE_COMMIT = "breaking after the commit"


class Rounds(RuleBasedStateMachine):
    """A task, its devices, their networks, the processes, the objects' home and the clock."""

    world: ClassVar[World]
    objects: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self.api = [Faults(app.state.context.db) for app in self.world.apps]
        self.worker = Faults(self.world.context.db)
        self.process = 0
        self.has_restarted = self.has_cancelled = False
        self.begin()

    def begin(self) -> None:
        """A new task with its first devices."""
        self.task = self.world.task(
            **powers_task(goal=GOAL, minimum_reports=MINIMUM, over_selection_factor=5 / 3, deadline_seconds=60)
        )
        self.devices = self.task.devices(4)
        self.book = Book(self.task, later=frozenset({"unavailable"}))
        self.renewed_at = self.world.clock.now()

    # ---- devices ---------------------------------------------------------------------------------

    @precondition(lambda self: len(self.devices) < 8)
    @rule()
    def enrol(self) -> None:
        self.devices.append(self.task.device())

    @rule(number=st.integers(0, 7))
    def check_in(self, number: int) -> None:
        """A device takes work, and its time with it."""
        self.assigned(self.devices[number % len(self.devices)])

    @rule(number=st.integers(0, 7), how=st.sampled_from(How))
    def take_part(self, number: int, how: How) -> None:
        work = self.assigned(self.devices[number % len(self.devices)])
        if work is not None:
            self.report(work, how)

    @precondition(lambda self: self.book.work)
    @rule(number=st.integers(0, 99), how=st.sampled_from(How))
    def report_later(self, number: int, how: How) -> None:
        """On time, too late, or once more with another body."""
        newest = list(self.book.work.values())[-6:]
        self.report(newest[number % len(newest)], how)

    @precondition(lambda self: any(work.bodies for work in self.book.work.values()))
    @rule(number=st.integers(0, 99))
    def send_again(self, number: int) -> None:
        """A body that was sent before, whatever became of it."""
        tried = [work for work in self.book.work.values() if work.bodies][-6:]
        work = tried[number % len(tried)]
        self.book.send(work, work.bodies[number % len(work.bodies)], url=self.url)

    # ---- processes, operators and time -----------------------------------------------------------

    @rule(process=st.sampled_from([0, 1]))
    def ask_the_process(self, process: int) -> None:
        """Devices reach this one from now on."""
        self.process = process

    @rule(number=st.integers(0, 7), how=st.sampled_from(How))
    def lose_the_objects_for_a_while(self, number: int, how: How) -> None:
        """No sum can be stored or read meanwhile."""
        hidden = self.objects.with_name("hidden")
        self.objects.rename(hidden)
        self.objects.touch()  # in its place: nobody makes the folder anew
        try:
            self.take_part(number, how)
            self.world.work()
        finally:
            self.objects.unlink()
            hidden.rename(self.objects)

    @rule(
        name=st.sampled_from(["close_round", "merge_partial_sums", "store_outcome", "publish", "open_round"]),
        when=st.sampled_from(When),
    )
    def break_the_worker(self, name: str, when: When) -> None:
        self.worker.plan(name, when)
        self.let_the_worker_work()

    @rule()
    def let_the_worker_work(self) -> None:
        self.world.work()
        self.book.compare_ended_rounds(minimum_reports=MINIMUM)

    @precondition(lambda self: not self.has_restarted)  # it takes as long as everything else together
    @rule()
    def restart_the_api(self) -> None:
        self.has_restarted = True
        self.world.restart_aggregator(self.process)
        self.api[self.process] = Faults(self.world.apps[self.process].state.context.db)

    @rule(seconds=st.sampled_from([1, 5, 20, 61]))
    def move_the_clock(self, seconds: int) -> None:
        self.world.advance(seconds)
        if (self.world.clock.now() - self.renewed_at).total_seconds() > TOKEN_SECONDS:
            self.renewed_at = self.world.clock.now()
            for device in self.devices:
                assert device.renew().status_code == 201

    @rule(verb=st.sampled_from(["pause", "resume", "resume"]))
    def steer(self, verb: str) -> None:
        assert self.task.steer(verb).status_code in {200, 409}

    @precondition(lambda self: not self.has_cancelled)
    @rule()
    def cancel(self) -> None:
        """The open round is abandoned at once, or goes to its end; another task begins."""
        self.has_cancelled = True
        assert self.task.steer("cancel").status_code == 200
        self.let_the_worker_work()
        assert {round_["state"] for round_ in self.task.get("/rounds")} <= {"published", "abandoned"}
        self.begin()

    # ---- what must hold --------------------------------------------------------------------------

    @invariant()
    def the_counts_of_the_sums_are_the_receipts(self) -> None:
        query = """SELECT r.id FROM aggregator.rounds r WHERE r.task_id = :task AND r.state = 'collecting' AND
            (SELECT coalesce(sum(p.report_count), 0) FROM aggregator.partial_sums p WHERE p.round_id = r.id) <>
            (SELECT count(*) FROM aggregator.receipts c WHERE c.round_id = r.id)"""
        with self.world.context.db.engine.connect() as connection:
            assert connection.execute(text(query), {"task": self.task.id}).all() == []

    def teardown(self) -> None:
        """Nothing is stuck: with a network and everything running, the next round is published."""
        for faults in (*self.api, self.worker):
            faults.clear()
        self.task.steer("resume")
        published = self.task.get()["rounds_published"]
        for _ in range(20):
            self.move_the_clock(61)
            self.let_the_worker_work()
            for device in self.task.devices(GOAL):
                work = self.assigned(device)
                if work is not None:
                    self.report(work, How.WELL)
            self.let_the_worker_work()
            if self.task.get()["rounds_published"] > published:
                break
        for faults in (*self.api, self.worker):
            faults.remove()
        assert self.task.get()["rounds_published"] > published
        assert self.task.steer("cancel").status_code == 200

    # ---- helpers ---------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return self.world.aggregator_urls[self.process]

    def assigned(self, device: Device) -> Work | None:
        answer = device.send("POST", "/v1/check-ins", url=self.url, json={})
        assert answer.status_code == 200, answer.text
        return self.book.assigned(device, answer.json())

    def report(self, work: Work, how: How) -> None:
        body = self.book.new_body(work)
        if body is None:
            return
        match how:
            case How.WELL:
                self.book.send(work, body, url=self.url)
            case How.TWICE:
                self.book.send(work, body, url=self.url)
                self.book.send(work, body, url=self.url)
            case How.LOSING_THE_REQUEST:
                work.device.report_and_leave(work.id, body, len(body) - 5, url=self.url)
            case How.LOSING_THE_ANSWER:
                work.device.report_and_leave(work.id, body, len(body), url=self.url)
            case How.BREAKING_BEFORE_THE_COMMIT | How.BREAKING_AFTER_THE_COMMIT:
                when = When.BEFORE if how is How.BREAKING_BEFORE_THE_COMMIT else When.AFTER
                self.api[self.process].plan("commit_reports", when)
                self.book.send(work, body, url=self.url)
                self.api[self.process].clear()


def test_acknowledged_reports_are_published_exactly_once_whatever_happens(world: World, objects: Path) -> None:
    class RoundsHere(Rounds):
        """In this deployment."""

    RoundsHere.world, RoundsHere.objects = world, objects
    run_state_machine_as_test(RoundsHere, settings=SETTINGS)
