"""Lists of operations in any order: whatever happens, what was acknowledged is published, exactly once.

Every body that anybody sends in a round holds another power of two, so a published sum says which bodies are in
it. The model remembers what each sender was told; the receipts say what the service promised; the sum is the truth.
`FEDREC_STATEFUL_EXAMPLES=1000` with `--timeout 0` runs that many random lists instead of the same few, and shrinks
one that fails.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

import httpx
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import text

from fedrec_protocol import codec
from fedrec_protocol.digest import content_digest
from tests.integration.aggregator.deployment import Device
from tests.integration.aggregator.powers import counted, power_of_two, powers_task
from tests.integration.aggregator.world import World
from tests.stateful.faults import Faults, When

EXAMPLES = int(os.environ.get("FEDREC_STATEFUL_EXAMPLES", "0"))
GOAL, MINIMUM = 3, 2
LARGEST_EXPONENT = 30
TOKEN_SECONDS = 600
CLOSED = {"round-closed", "assignment-expired"}

SETTINGS = settings(
    max_examples=EXAMPLES or 12,
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


@dataclass
class Work:
    """An assignment as its device knows it."""

    device: Device
    id: str
    round_id: str
    bodies: list[bytes] = field(default_factory=list)
    receipt: dict[str, Any] | None = None


class Rounds(RuleBasedStateMachine):
    """A task, its devices, their networks, the processes and the clock."""

    world: ClassVar[World]

    def __init__(self) -> None:
        super().__init__()
        world = self.world
        self.faults = [Faults(world.apps[0].state.context.db), Faults(world.context.db)]
        self.task = world.task(
            **powers_task(goal=GOAL, minimum_reports=MINIMUM, over_selection_factor=5 / 3, deadline_seconds=60)
        )
        self.devices = self.task.devices(4)
        self.work: dict[str, Work] = {}
        self.exponents: dict[str, dict[str, int]] = {}
        self.checked: set[str] = set()
        self.renewed_at = world.clock.now()
        self.has_restarted = False

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

    @precondition(lambda self: self.work)
    @rule(number=st.integers(0, 99), how=st.sampled_from(How))
    def report_later(self, number: int, how: How) -> None:
        """On time, too late, or once more with another body."""
        newest = list(self.work.values())[-6:]
        self.report(newest[number % len(newest)], how)

    @precondition(lambda self: any(work.bodies for work in self.work.values()))
    @rule(number=st.integers(0, 99))
    def send_again(self, number: int) -> None:
        """A body that was sent before, whatever became of it."""
        tried = [work for work in self.work.values() if work.bodies][-6:]
        work = tried[number % len(tried)]
        self.send(work, work.bodies[number % len(work.bodies)])

    # ---- processes, operators and time -----------------------------------------------------------

    @rule(
        name=st.sampled_from(["close_round", "merge_partial_sums", "store_outcome", "publish", "open_round"]),
        when=st.sampled_from(When),
    )
    def break_the_worker(self, name: str, when: When) -> None:
        self.faults[1].plan(name, when)
        self.let_the_worker_work()

    @rule()
    def let_the_worker_work(self) -> None:
        self.world.work()
        self.compare_published_rounds()

    @precondition(lambda self: not self.has_restarted)  # it takes as long as everything else together
    @rule()
    def restart_the_api(self) -> None:
        self.has_restarted = True
        self.world.restart_aggregator()
        self.faults[0] = Faults(self.world.apps[0].state.context.db)

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

    # ---- what must hold --------------------------------------------------------------------------

    @invariant()
    def the_counts_of_the_sums_are_the_receipts(self) -> None:
        query = """SELECT r.id FROM aggregator.rounds r WHERE r.task_id = :task AND r.state = 'collecting' AND
            (SELECT coalesce(sum(p.report_count), 0) FROM aggregator.partial_sums p WHERE p.round_id = r.id) <>
            (SELECT count(*) FROM aggregator.receipts c WHERE c.round_id = r.id)"""
        with self.world.context.db.engine.connect() as connection:
            assert connection.execute(text(query), {"task": self.task.id}).all() == []

    def compare_published_rounds(self) -> None:
        for round_ in self.task.get("/rounds?limit=500"):
            if round_["state"] == "published" and round_["round_id"] not in self.checked:
                self.checked.add(round_["round_id"])
                promised = self.promised(round_["round_id"])
                assert counted(self.task, round_["published_version_id"]) == promised
                assert round_["reports"] == len(promised) >= MINIMUM

    def promised(self, round_id: str) -> set[int]:
        """Exponents of the bodies that have receipts; every receipt that was handed out is among them."""
        exponents = set()
        for work in self.work.values():
            if work.round_id == round_id:
                view = work.device.send("GET", f"/v1/assignments/{work.id}").json()
                assert view["state"] in {"reported", "expired"}
                assert work.receipt is None or view["receipt"] == work.receipt
                if view["receipt"] is not None:
                    exponents.add(self.exponents[round_id][view["receipt"]["content_digest"]])
        return exponents

    def teardown(self) -> None:
        """Nothing is stuck: with a network and everything running, the next round is published."""
        for faults in self.faults:
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
        for faults in self.faults:
            faults.remove()
        assert self.task.get()["rounds_published"] > published
        assert self.task.steer("cancel").status_code == 200

    # ---- helpers ---------------------------------------------------------------------------------

    def assigned(self, device: Device) -> Work | None:
        answer = device.check_in()
        if answer["outcome"] == "not-selected":
            return None
        assignment = answer["assignment"]
        new = Work(device, assignment["assignment_id"], assignment["round_id"])
        known = self.work.setdefault(new.id, new)
        assert known.device is device
        assert known.receipt is None
        return known

    def report(self, work: Work, how: How) -> None:
        body = self.new_body(work)
        if body is None:
            return
        match how:
            case How.WELL:
                self.send(work, body)
            case How.TWICE:
                self.send(work, body)
                self.send(work, body)
            case How.LOSING_THE_REQUEST:
                self.send_and_leave(work, body, len(body) - 5)
            case How.LOSING_THE_ANSWER:
                self.send_and_leave(work, body, len(body))
            case How.BREAKING_BEFORE_THE_COMMIT | How.BREAKING_AFTER_THE_COMMIT:
                when = When.BEFORE if how is How.BREAKING_BEFORE_THE_COMMIT else When.AFTER
                self.faults[0].plan("commit_reports", when)
                self.send(work, body)
                self.faults[0].clear()

    def send_and_leave(self, work: Work, body: bytes, length: int) -> None:
        """Send so much of a body, and wait for no answer."""
        url = httpx.URL(self.world.aggregator_urls[0])
        with socket.create_connection((url.host, url.port or 80), timeout=60) as connection:
            connection.sendall(self.head(work, body) + body[:length])

    def new_body(self, work: Work) -> bytes | None:
        """A body that nobody sent in this round before; None when the powers of two are used up."""
        exponents = self.exponents.setdefault(work.round_id, {})
        if len(exponents) > LARGEST_EXPONENT:
            return None
        body = codec.encode(power_of_two(len(exponents)))
        exponents[content_digest(body)] = len(exponents)
        work.bodies.append(body)
        return body

    def send(self, work: Work, body: bytes) -> None:
        answer = work.device.report(work.id, body)
        if answer.status_code in {200, 201}:
            receipt = answer.json()
            assert receipt["content_digest"] == content_digest(body)
            assert work.receipt in (None, receipt)
            work.receipt = receipt
        else:
            self.assert_refused_for_a_reason(work, body, answer)

    def assert_refused_for_a_reason(self, work: Work, body: bytes, answer: httpx.Response) -> None:
        slug = answer.json()["slug"]
        if slug == "report-conflict":
            assert len(work.bodies) > 1
            assert work.receipt is None or work.receipt["content_digest"] != content_digest(body)
        else:
            assert slug in CLOSED | {"unavailable"}
            assert work.receipt is None

    def head(self, work: Work, body: bytes) -> bytes:
        lines = [
            f"POST /v1/assignments/{work.id}/report HTTP/1.1",
            "Host: aggregator",
            f"Authorization: Bearer {work.device.token}",
            f"Content-Type: {codec.MEDIA_TYPE}",
            f"Content-Length: {len(body)}",
            f"Content-Digest: {content_digest(body)}",
        ]
        return "\r\n".join([*lines, "", ""]).encode()


def test_acknowledged_reports_are_published_exactly_once_whatever_happens(world: World) -> None:
    class RoundsHere(Rounds):
        """In this deployment."""

    RoundsHere.world = world
    run_state_machine_as_test(RoundsHere, settings=SETTINGS)
