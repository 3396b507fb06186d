"""Real processes killed at the worst moments: what was acknowledged is in the published sum, once."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from fedrec.local.stack import local_stack
from fedrec_protocol.secure_messages import SecurePhase
from fedrec_sdk import Contributed, Participant, Unavailable
from tests.integration.aggregator.cohort import Cohort, integer_sum, published_sum, secure_task
from tests.integration.aggregator.crowd import CROWD, assert_all_counted_once, crowd_reports
from tests.integration.aggregator.deployment import Task
from tests.integration.aggregator.fleet import Fleet, until
from tests.integration.aggregator.powers import powers_task
from tests.integration.aggregator.silos import encrypted_task, silo_key

PEOPLE = 5
"""In rounds that have phases."""


@pytest.fixture(scope="module")
def deployment() -> Iterator[Fleet]:
    with local_stack(aggregators=2, workers=1, environment={"FEDREC_AGGREGATOR_LOG_LEVEL": "error"}) as stack:
        deployment = Fleet(stack)
        yield deployment
        deployment.close()


def test_the_api_killed_under_load_loses_no_acknowledged_report(deployment: Fleet) -> None:
    task = deployment.task(**powers_task(goal=CROWD, deadline_seconds=600))
    devices, rng = task.devices(CROWD), random.Random(1)
    for number in (1, 2):
        with crowd_reports(task, devices, number):
            for name in ("aggregator-0", "aggregator-1"):
                time.sleep(rng.uniform(0.0, 0.15))
                deployment.process(name).kill()
                deployment.process(name).start()
            deployment.process("aggregator-0").wait_until_ready()
            deployment.process("aggregator-1").wait_until_ready()
        assert_all_counted_once(task, number)


def test_the_worker_killed_at_any_moment_publishes_once(deployment: Fleet) -> None:
    task = deployment.task(**powers_task(goal=CROWD, deadline_seconds=600))
    devices, rng, worker = task.devices(CROWD), random.Random(2), deployment.process("worker-0")
    for number in (1, 2, 3):
        with crowd_reports(task, devices, number):
            pass
        time.sleep(rng.uniform(0.0, 0.05))
        worker.kill()
        deployment.let_leases_expire()
        worker.start()
        assert_all_counted_once(task, number)
    assert task.version()["number"] == 3


def test_the_worker_killed_between_the_sum_and_the_registry_publishes_what_it_had_stored(deployment: Fleet) -> None:
    task = deployment.task(**powers_task(goal=CROWD, deadline_seconds=600))
    devices, registry, worker = task.devices(CROWD), deployment.process("registry"), deployment.process("worker-0")
    registry.suspend()
    try:
        with crowd_reports(task, devices, 1):
            pass
        stored = f"SELECT count(*) FROM aggregator.rounds WHERE task_id = '{task.id}' AND result_object IS NOT NULL"
        until(lambda: deployment.value(stored) == 1)
        worker.kill()
    finally:
        registry.resume()
    deployment.let_leases_expire()
    worker.start()
    assert_all_counted_once(task, 1)


def test_a_worker_that_slept_through_its_lease_changes_nothing(deployment: Fleet) -> None:
    task = deployment.task(**powers_task(goal=CROWD, deadline_seconds=600))
    devices, registry, sleeper = task.devices(CROWD), deployment.process("registry"), deployment.process("worker-0")
    registry.suspend()
    try:
        with crowd_reports(task, devices, 1):
            pass
        until(lambda: deployment.value("SELECT count(*) FROM aggregator.leases WHERE expires_at > now()"))
        sleeper.suspend()
        deployment.let_leases_expire()
    finally:
        registry.resume()
    [other] = deployment.stack.add(workers=1)
    try:
        assert_all_counted_once(task, 1)
    finally:
        sleeper.resume()
        with crowd_reports(task, devices, 2):
            deployment.stack.remove(other.name)
    assert_all_counted_once(task, 2)
    assert task.version()["number"] == 2


def test_a_registry_that_is_killed_and_comes_back_gets_the_version(deployment: Fleet) -> None:
    task = deployment.task(**powers_task(goal=CROWD, deadline_seconds=600))
    devices, registry = task.devices(CROWD), deployment.process("registry")
    registry.kill()
    try:
        with crowd_reports(task, devices, 1):
            pass
        until(lambda: task.round["state"] == "aggregating")
    finally:
        registry.start()
        registry.wait_until_ready()
    assert_all_counted_once(task, 1)


def test_postgres_killed_under_load_loses_no_acknowledged_report(deployment: Fleet) -> None:
    task = deployment.task(**powers_task(goal=CROWD, deadline_seconds=600))
    devices, rng = task.devices(CROWD), random.Random(3)
    for number in (1, 2):
        with crowd_reports(task, devices, number):
            time.sleep(rng.uniform(0.0, 0.1))
            deployment.postgres.kill()
            deployment.postgres.start()
        assert_all_counted_once(task, number)


def test_a_sum_that_is_decrypted_survives_every_process_and_postgres(deployment: Fleet, tmp_path: Path) -> None:
    path = tmp_path / "silo.key"
    policy = {"aggregation_goal": PEOPLE, "minimum_reports": 4, "deadline_seconds": 600}
    task = encrypted_task(deployment, silo_key(path), PEOPLE, rounds=policy, encryption={"decryption_quorum": 4})
    cohort = Cohort(task, tmp_path, PEOPLE, silo_key=path)
    with contextlib.closing(cohort):
        finish_while_everything_is_killed(deployment, cohort, since="decrypting")
    assert rows_of_phases(deployment, task) == 0
    assert published_sum(task, PEOPLE) == integer_sum(range(PEOPLE))


def test_masks_are_taken_off_though_every_process_and_postgres_are_killed(deployment: Fleet, tmp_path: Path) -> None:
    task = secure_task(deployment, PEOPLE)
    cohort = Cohort(task, tmp_path, PEOPLE)
    with contextlib.closing(cohort):
        finish_while_everything_is_killed(deployment, cohort, since=SecurePhase.REVEALING)
    assert rows_of_phases(deployment, task) == 0
    assert published_sum(task, PEOPLE) == integer_sum(range(PEOPLE))


def bring_to(cohort: Cohort, phase: str, done: set[int]) -> bool:
    """Everybody answers what can be answered, up to a phase; whoever was quick enough to answer in it is `done`."""
    for number, participant in cohort.people.items():
        if cohort.phase == phase:
            return True
        if isinstance(participant.contribute(), Contributed):
            done.add(number)
    return False


def finish_while_everything_is_killed(deployment: Fleet, cohort: Cohort, *, since: str) -> None:
    """One has answered; all devices are switched off and on, and while the others answer everything is killed."""
    done: set[int] = set()
    until(lambda: bring_to(cohort, since, done))
    first, *others = [number for number in cohort.people if number not in done]
    assert isinstance(cohort.people[first].contribute(), Contributed)
    cohort.restart()
    with ThreadPoolExecutor(PEOPLE) as pool:
        answers = [pool.submit(contribute_in_the_end, cohort.people[number]) for number in others]
        kill_everything(deployment)
        for answer in answers:
            answer.result()
    until(lambda: cohort.task.get()["rounds_published"] == 1)


def contribute_in_the_end(participant: Participant) -> None:
    """As an app does: what cannot be done now is done later."""

    def has_contributed() -> bool:
        try:
            return isinstance(participant.contribute(), Contributed)
        except Unavailable:
            return False

    until(has_contributed)


def kill_everything(deployment: Fleet) -> None:
    """Each with `kill -9`, Postgres as well; all of it starts again, and nobody waits for old leases."""
    for process in deployment.stack.processes.values():
        process.kill()
    deployment.postgres.kill()
    deployment.postgres.start()
    deployment.let_leases_expire()
    for process in deployment.stack.processes.values():
        process.start()
    for process in deployment.stack.processes.values():
        process.wait_until_ready()


def rows_of_phases(deployment: Fleet, task: Task) -> int:
    """What is kept of the phases of a task's first round."""
    tables = ("secure_rounds", "encrypted_sums", "decryptions", "partial_sums")
    of_round = "round_id = (SELECT id FROM aggregator.rounds WHERE task_id = :id AND number = 1)"
    rows = " + ".join(f"(SELECT count(*) FROM aggregator.{table} WHERE {of_round})" for table in tables)
    return int(str(deployment.value(f"SELECT {rows}", id=task.id)))
