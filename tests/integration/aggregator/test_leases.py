"""Leases: one worker at a time finishes a round, and one that was asleep stores nothing."""

from __future__ import annotations

import threading
import time
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from fedrec_protocol.messages import RoundState
from services.aggregator import worker
from services.aggregator.pipeline.aggregate import aggregate
from services.aggregator.pipeline.close import close_if_due
from services.aggregator.pipeline.context import Context
from services.aggregator.pipeline.finish_round import finish_round
from services.aggregator.pipeline.give_up import give_up
from services.aggregator.pipeline.publish import publish
from services.aggregator.storage import leases, outcomes, rounds
from services.aggregator.storage.leases import FencedOff, Lease
from tests.integration.aggregator.deployment import report_of
from tests.integration.aggregator.powers import counted, power_of_two, powers_task
from tests.integration.aggregator.world import World


def test_a_worker_that_slept_through_its_lease_is_fenced_off_for_good(world: World) -> None:
    db, life = world.context.db, timedelta(minutes=1)
    sleeper = db.run("acquire", lambda tx: leases.acquire(tx, "rnd_x", "sleeper", timedelta(0)))
    assert sleeper is not None
    second = db.run("acquire", lambda tx: leases.acquire(tx, "rnd_x", "second", life))
    assert second is not None
    assert db.run("acquire", lambda tx: leases.acquire(tx, "rnd_x", "third", life)) is None
    db.run("release", lambda tx: leases.release(tx, second))
    third = db.run("acquire", lambda tx: leases.acquire(tx, "rnd_x", "third", life))
    assert third is not None
    for stale in (sleeper, second):
        with pytest.raises(FencedOff):
            db.run("require", partial(leases.require, lease=stale))
        db.run("release", partial(leases.release, lease=stale))
        assert not db.run("renew", partial(leases.renew, lease=stale, duration=life))
    db.run("require", lambda tx: leases.require(tx, third))
    assert db.run("acquire", lambda tx: leases.acquire(tx, "rnd_x", "fourth", life)) is None
    db.run("retire", lambda tx: leases.retire(tx, third.name))
    with pytest.raises(FencedOff):
        db.run("require", lambda tx: leases.require(tx, third))


def test_nobody_takes_a_lease_over_while_a_transaction_rests_on_it(world: World) -> None:
    expired = world.lease("rnd_y", seconds=0)
    engine = world.context.db.engine
    with engine.begin() as tx, engine.begin() as other:
        leases.require(tx, expired)
        other.execute(text("SET LOCAL lock_timeout = '50ms'"))
        with pytest.raises(OperationalError):
            leases.acquire(other, "rnd_y", "another", timedelta(minutes=1))


def test_a_worker_that_was_fenced_off_stores_publishes_and_gives_up_nothing(world: World) -> None:
    """It slept between reading what is due and storing what came of it."""
    task, context = world.task(**powers_task(goal=1)), world.context
    device, round_id = task.device(), task.round["round_id"]
    assert device.report(device.assigned()["assignment_id"], power_of_two(4)).status_code == 201
    assert close_if_due(context, round_id) is not None
    sleeper, second = (world.lease(round_id, seconds=seconds) for seconds in (0, 60))
    closed = context.db.run("read", lambda tx: rounds.get(tx, round_id))
    with pytest.raises(FencedOff):
        aggregate(context, round_id, sleeper)
    with pytest.raises(FencedOff):
        give_up(context, closed, sleeper, "for this test")
    assert context.db.run("read", lambda tx: outcomes.get(tx, round_id)) is None
    assert task.round["state"] == "aggregating"
    aggregate(context, round_id, second)
    with pytest.raises(FencedOff):
        publish(context, round_id, sleeper)
    assert task.get()["rounds_published"] == 0
    publish(context, round_id, second)
    assert counted(task) == {4}


def test_a_sleeper_whose_fence_is_given_out_again_publishes_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease of a round goes with it, and a worker that saw the round before makes a new one."""
    task, context = world.task(**powers_task(goal=1)), world.context
    device, round_id = task.device(), task.round["round_id"]
    assert device.report(device.assigned()["assignment_id"], power_of_two(4)).status_code == 201
    assert close_if_due(context, round_id) is not None
    sleeper = world.lease(round_id, seconds=0)
    aggregate(context, round_id, sleeper)
    tell, others = context.registry.publish, list[Lease]()

    def while_it_sleeps(*told: Any) -> Any:
        version = tell(*told)
        monkeypatch.undo()
        publish(context, round_id, world.lease(round_id, seconds=60))
        others.append(world.lease(round_id, seconds=60))
        return version

    monkeypatch.setattr(context.registry, "publish", while_it_sleeps)
    with pytest.raises(FencedOff):
        publish(context, round_id, sleeper)
    assert others == [sleeper]
    assert task.get()["rounds_published"] == 1


def test_a_worker_that_saw_a_round_before_its_end_leaves_no_lease_of_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = world.task(**powers_task(goal=1))
    device, round_id = task.device(), task.round["round_id"]
    assert device.report(device.assigned()["assignment_id"], power_of_two(4)).status_code == 201
    world.work()
    assert counted(task) == {4}
    monkeypatch.setattr(rounds, "aggregating", lambda _: [round_id])
    world.work()
    assert held(world, round_id) == 0


def held(world: World, name: str) -> int:
    """Rows of a lease."""
    query = text("SELECT count(*) FROM aggregator.leases WHERE name = :name").bindparams(name=name)
    return int(world.context.db.run("count", lambda tx: tx.execute(query).scalar_one()))


def test_a_worker_that_takes_long_keeps_its_lease(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    task = world.task(**powers_task(goal=1))
    device, round_id = task.device(), task.round["round_id"]
    assert device.report(device.assigned()["assignment_id"], power_of_two(4)).status_code == 201
    expiry = text("SELECT expires_at FROM aggregator.leases WHERE name = :name").bindparams(name=round_id)

    def expires_at() -> datetime:
        found: datetime = world.context.db.run("read", lambda tx: tx.execute(expiry).scalar_one())
        return found

    def slowly(context: Context, round_id: str, lease: Lease) -> None:
        first, given_up = expires_at(), time.monotonic() + 30
        while expires_at() == first and time.monotonic() < given_up:
            time.sleep(0.05)
        renewed.append(expires_at() > first)
        finish_round(context, round_id, lease)

    renewed: list[bool] = []
    monkeypatch.setattr(worker, "finish_round", slowly)
    monkeypatch.setattr(worker, "LEASE", timedelta(seconds=3))
    world.work()
    assert renewed == [True]
    assert counted(task) == {4}


def test_two_workers_at_once_publish_once(world: World) -> None:
    task = world.task(rounds={"aggregation_goal": 1})
    device = task.device()
    assert device.report(device.assigned()["assignment_id"], report_of(np.ones((2, 2)))).status_code == 201
    threads = [threading.Thread(target=world.work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    world.work()
    assert task.version()["number"] == 1
    assert [round_["state"] for round_ in task.get("/rounds")] == [RoundState.COLLECTING, RoundState.PUBLISHED]
