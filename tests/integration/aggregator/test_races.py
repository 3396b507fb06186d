"""Two things at the same moment, one made to wait for the other on purpose."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable

import numpy as np
from sqlalchemy import Connection

from fedrec_protocol import codec
from fedrec_protocol.manifest import RoundPolicy, TaskManifest
from fedrec_protocol.messages import NotSelected, NotSelectedReason, Receipt, RoundKind
from services.aggregator.api.intake import Intake
from services.aggregator.domain import sealing
from services.aggregator.domain.errors import RoundClosed
from services.aggregator.domain.partial_sum import PartialSum
from services.aggregator.domain.reports import RoundFormat, read_report
from services.aggregator.domain.rounds import Round
from services.aggregator.pipeline.asking import Asking
from services.aggregator.pipeline.assign import CheckingIn, assign
from services.aggregator.pipeline.close import close_if_due
from services.aggregator.pipeline.commit_reports import PendingReport, commit_reports
from services.aggregator.pipeline.open_round import advance
from services.aggregator.pipeline.steer_task import cancel_task
from services.aggregator.storage import assignments, partial_sums, rounds, tasks
from services.aggregator.storage.assignments import NewReceipt
from services.aggregator.storage.partial_sums import PartialSumRow
from tests.integration.aggregator.deployment import Task, report_of
from tests.integration.aggregator.powers import counted, power_of_two, powers_task
from tests.integration.aggregator.world import World
from tests.integration.meanwhile import meanwhile


def test_a_check_in_while_the_round_closes_is_asked_to_come_back(world: World) -> None:
    task, answers = world.task(), list[object]()
    round_id = task.round["round_id"]
    who = CheckingIn(task.device().client_id, (RoundKind.TRAINING,))
    with meanwhile(world.context.db.engine, lambda: answers.extend(assign(world.context, task.id, [who]))) as tx:
        rounds.save(tx, rounds.get(tx, round_id, lock=True).abandoned("for this test", world.clock.now()))
    [answer] = answers
    assert isinstance(answer, NotSelected)
    assert answer.reason is NotSelectedReason.NO_OPEN_ROUND


def test_a_round_that_opens_while_its_task_is_cancelled_is_abandoned(world: World) -> None:
    task = world.task(stop={"round_budget": 5})
    first = task.round["round_id"]
    with meanwhile(world.context.db.engine, lambda: cancel_task(world.context, task.id, "ada")) as tx:
        round_ = rounds.get(tx, first, lock=True)
        stored = tasks.get(tx, task.id, lock=True)
        rounds.save(tx, round_.published())
        assert advance(tx, world.context, stored) is not None
    assert task.get()["state"] == "completed"
    assert (task.round["number"], task.round["state"]) == (2, "abandoned")


def test_a_report_that_comes_while_its_round_closes_is_counted_or_refused(world: World) -> None:
    task, answers = world.task(rounds={"aggregation_goal": 2, "minimum_reports": 1}), list[int]()
    early, late = task.devices(2)
    own, other = early.assigned()["assignment_id"], late.assigned()["assignment_id"]
    assert early.report(own, report_of(np.ones((2, 2)))).status_code == 201
    body = report_of(np.full((2, 2), 5.0))
    with meanwhile(world.context.db.engine, lambda: answers.append(late.report(other, body).status_code)) as tx:
        round_ = rounds.get(tx, task.round["round_id"], lock=True)
        due = round_.due(task_policy(tx, task), 2, world.clock.now())
        assert due is not None
        rounds.save(tx, due)
    assert answers == [409]
    world.work()
    assert task.weights()["items"].tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_a_round_is_not_given_up_while_the_report_that_it_needs_is_being_committed(world: World) -> None:
    task = world.task(**powers_task(goal=3, minimum_reports=2, deadline_seconds=60))
    early, late = task.devices(2)
    own, other, round_id = early.assigned()["assignment_id"], late.assigned()["assignment_id"], task.round["round_id"]
    assert early.report(own, power_of_two(0)).status_code == 201
    world.advance(60)
    with meanwhile(world.context.db.engine, lambda: close_if_due(world.context, round_id)) as tx:
        commit(tx, world, task, round_id, other, codec.encode(power_of_two(1)))
    world.work()
    assert counted(task) == {0, 1}


def test_a_process_in_the_middle_of_its_flush_keeps_no_other_from_flushing(world: World) -> None:
    """It has done everything but its COMMIT; whoever shared a lock with it would wait for that, and be answered 503."""
    task = world.task(**powers_task(goal=4))
    devices, round_id = task.devices(4), task.round["round_id"]
    here, there, *last = (device.assigned()["assignment_id"] for device in devices)
    with world.context.db.engine.begin() as tx:
        commit(tx, world, task, round_id, here, codec.encode(power_of_two(0)))
        assert devices[1].report(there, power_of_two(1), url=world.aggregator_urls[0]).status_code == 201
        assert devices[2].report(last[0], power_of_two(2), url=world.aggregator_urls[1]).status_code == 201
        assert task.round["reports"] == 2
    assert devices[3].report(last[1], power_of_two(3), url=world.aggregator_urls[0]).status_code == 201
    world.work()
    assert counted(task) == {0, 1, 2, 3}


def test_a_report_that_another_process_has_counted_is_taken_out_of_the_sum_again(world: World) -> None:
    """Only the reports that follow it at the same process show whether it was."""
    task = world.task(**powers_task(goal=3))
    devices, round_id = task.devices(3), task.round["round_id"]
    twice, *others = (device.assigned()["assignment_id"] for device in devices)
    assert devices[0].report(twice, power_of_two(0), url=world.aggregator_urls[0]).status_code == 201
    there = process(world, task, round_id)
    for batch in ((twice, 0), (others[0], 1)), ((others[1], 2),):
        receipts = there([pending(task, each, codec.encode(power_of_two(exponent))) for each, exponent in batch])
        assert [receipt is not None for receipt in receipts] == [each != twice for each, _ in batch]
    world.work()
    assert counted(task) == {0, 1, 2}


def process(world: World, task: Task, round_id: str) -> Callable[[list[PendingReport]], list[Receipt | None]]:
    """Another process: it counts what it is given in a partial sum of its own."""
    partial, key = PartialSum(f"psm_of_{round_id}", round_id, form_of(task).layout), round_key(world, round_id)
    return lambda reports: commit_reports(world.context, partial, key, 3, reports)


def test_a_round_that_closed_meanwhile_keeps_no_report_of_another_from_being_taken(world: World) -> None:
    """The first reports of rounds that come together are looked up together."""
    one, closed, other = (world.task(**powers_task(goal=1)).round["round_id"] for _ in range(3))
    world.context.db.run("close", lambda tx: rounds.erase_key(tx, closed))
    intake = Intake(world.context, is_complete=lambda _: True)

    async def ask() -> list[object]:
        return await asyncio.gather(*map(intake.round, (one, closed, other)), return_exceptions=True)

    answers = asyncio.run(ask())
    assert [getattr(answer, "round", answer).__class__ for answer in answers] == [Round, RoundClosed, Round]


def pending(task: Task, assignment_id: str, body: bytes) -> PendingReport:
    who = Asking("", assignment_id, device_key=None)
    return PendingReport(who, hashlib.sha256(body).digest(), read_report(body, form_of(task)))


def form_of(task: Task) -> RoundFormat:
    return RoundFormat.of(TaskManifest.model_validate(task.get()["manifest"]), RoundKind.TRAINING)


def round_key(world: World, round_id: str) -> bytes:
    wrapped = world.context.db.run("read_key", lambda tx: rounds.wrapped_key(tx, round_id))
    assert wrapped is not None
    return sealing.unwrap(wrapped, world.context.deployment_keys, round_id)


def commit(tx: Connection, world: World, task: Task, round_id: str, assignment_id: str, body: bytes) -> None:
    """What another process does with a report, up to its commit."""
    form, key, now = form_of(task), round_key(world, round_id), world.clock.now()
    partial = PartialSum(f"psm_of_{round_id}", round_id, form.layout)
    partial.add(read_report(body, form))
    stored = world.context.home.put(tx, sealing.seal(partial.vector.data.cast("B"), key, partial.id))
    rounds.require_collecting(tx, round_id)
    receipt = NewReceipt(f"rep_of_{round_id}", assignment_id, hashlib.sha256(body).digest())
    assignments.insert_receipts(tx, round_id, partial.id, [receipt], now)
    pointer = PartialSumRow(partial.id, stored, partial.report_count)
    partial_sums.point_to(tx, pointer, round_id, now, superseded=None)


def task_policy(tx: Connection, task: Task) -> RoundPolicy:
    return tasks.get(tx, task.id).manifest.rounds
