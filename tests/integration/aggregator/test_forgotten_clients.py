"""Clients that were not seen for long, and those that an operator erases: what is left of them, what they may do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from fedrec.local.postgres import LocalPostgres
from fedrec_protocol.messages import Assigned, Role, RoundKind
from services.aggregator import worker
from services.aggregator.domain.errors import Unauthenticated
from services.aggregator.domain.retention import Retention
from services.aggregator.pipeline import forget_clients
from services.aggregator.pipeline.assign import CheckingIn, assign
from services.aggregator.pipeline.forget import forget
from services.aggregator.pipeline.forget_clients import forget_unseen
from services.aggregator.settings import Settings
from services.aggregator.storage import credentials
from services.aggregator.worker import Worker
from tests.databases import create_database
from tests.integration.aggregator.deployment import Device, Task
from tests.integration.aggregator.powers import counted, power_of_two, powers_task
from tests.integration.aggregator.test_credentials import operator_key
from tests.integration.aggregator.test_device_keys import change, refusal
from tests.integration.aggregator.vouching import App
from tests.integration.aggregator.world import World

DAY = 86400
YEAR = timedelta(days=365)


def unseen_for(world: World, life: timedelta, *devices: Device) -> list[bool]:
    """Forget who was not seen for so long; of which devices there is still a client."""
    forget_unseen(world.context, life)
    return kept(world, *devices)


@pytest.fixture(scope="module")
def world(postgres: LocalPostgres, migrated_template: str) -> Iterator[World]:
    """A deployment of its own, for decades pass in it."""
    world = World(create_database(postgres.url, "forgotten_clients", template=migrated_template))
    yield world
    world.stop()


def kept(world: World, *devices: Device) -> list[bool]:
    """Of which devices there is a client."""
    with world.context.db.engine.connect() as connection:
        ids = set(connection.execute(text("SELECT id FROM aggregator.clients")).scalars())
    return [device.client_id in ids for device in devices]


def traces(world: World, device: Device) -> list[str]:
    """Tables in which a device's client id or public key can be found."""
    return tables_with(world, device.client_id, device.key.public_key().public_bytes_raw().hex())


def tables_with(world: World, *marks: str) -> list[str]:
    """Tables in which one of these words can be found, in whatever column."""
    tables = text("SELECT table_name FROM information_schema.tables WHERE table_schema = 'aggregator' ORDER BY 1")
    found = []
    with world.context.db.engine.connect() as connection:
        for table in connection.execute(tables).scalars().all():
            rows = connection.execute(text(f"SELECT row_::text FROM aggregator.{table} row_")).scalars().all()
            if any(mark in row for mark in marks for row in rows):
                found.append(table)
    return found


def erase(world: World, device: Device) -> Any:
    return world.operator("DELETE", f"/v1/clients/{device.client_id}")


def reported_once(world: World, **policy: Any) -> tuple[Task, Device]:
    """A task whose first round had the report of one device; the second one is open."""
    task = world.task(**powers_task(goal=1, deadline_seconds=2_000_000, **policy))
    device = task.device()
    assert device.report(device.assigned()["assignment_id"], power_of_two(4)).status_code == 201
    world.work()
    return task, device


def test_who_got_no_token_for_a_year_is_forgotten_and_enrols_again_as_another_client(world: World) -> None:
    task = world.task()
    silent, active = task.devices(2)
    world.advance(200 * DAY)
    assert active.renew().status_code == 201
    world.advance(166 * DAY)
    assert unseen_for(world, YEAR, silent, active) == [False, True]
    before = silent.client_id
    assert refusal(silent.renew()) == (401, "unauthenticated")
    assert silent.enrol(task.enrolment_key).status_code == 201
    assert silent.client_id != before
    assert silent.check_in()["outcome"] == "assigned"


def test_a_device_that_enrols_again_was_seen(world: World) -> None:
    task = world.task()
    device = task.device()
    world.advance(300 * DAY)
    assert device.enrol(task.enrolment_key).status_code == 201
    world.advance(300 * DAY)
    assert unseen_for(world, YEAR, device) == [True]


def test_a_revoked_client_that_is_forgotten_leaves_nothing_but_the_hash_of_a_key_that_stays_refused(
    world: World,
) -> None:
    task = world.task()
    revoked, other = task.devices(2)
    assert world.operator("DELETE", f"/v1/tasks/{task.id}/clients/{revoked.client_id}").status_code == 204
    world.advance(366 * DAY)
    assert other.renew().status_code == 201
    assert unseen_for(world, YEAR, revoked, other) == [False, True]
    assert traces(world, revoked) == ["audit_log"]
    assert refusal(revoked.enrol(task.enrolment_key)) == (401, "unauthenticated")
    assert refusal(change(other, revoked.key)) == (409, "device-key-taken")
    assert revoked.enrol(world.task().enrolment_key).status_code == 201  # another task knows nothing of it


def test_a_person_who_is_forgotten_comes_back_as_another_client_unless_they_were_revoked(world: World) -> None:
    app = App(world.task())
    ada, bob = app.device("ada"), app.device("bob")
    assert world.operator("DELETE", f"/v1/tasks/{app.task.id}/clients/{bob.client_id}").status_code == 204
    world.advance(366 * DAY)
    assert unseen_for(world, YEAR, ada, bob) == [False, False]
    assert app.device("ada").client_id != ada.client_id
    assert refusal(app.enrol(Device(world), "bob")) == (401, "unauthenticated")


@pytest.mark.parametrize("bound", [{"maximum_participations": 1}, {"minimum_separation": 5}])
def test_nobody_gets_another_turn_by_being_forgotten(world: World, bound: dict[str, int]) -> None:
    task, device = reported_once(world, **bound)
    world.advance(1000 * DAY)
    forget(world.context, Retention())
    assert unseen_for(world, YEAR, device) == [True]
    assert task.steer("cancel").is_success
    forget(world.context, Retention())
    assert unseen_for(world, YEAR, device) == [False]
    assert counted(task) == {4}


def test_a_client_is_kept_until_so_many_days_after_the_one_on_which_it_was_seen_are_over(world: World) -> None:
    device = world.task().device()
    world.advance(10 * DAY)
    assert unseen_for(world, timedelta(days=10), device) == [True]
    world.advance(DAY)
    assert unseen_for(world, timedelta(days=10), device) == [False]


def test_a_client_is_kept_while_its_round_is_under_way_and_an_assignment_that_it_let_lapse_does_not_keep_it(
    world: World,
) -> None:
    task = world.task(**powers_task(goal=1, over_selection_factor=3.0, deadline_seconds=2_000_000))
    silent, active = task.devices(2)
    silent.assigned()
    assignment_id = active.assigned()["assignment_id"]
    world.advance(20 * DAY)
    assert active.renew().status_code == 201
    assert unseen_for(world, timedelta(days=10), silent) == [True]
    assert active.report(assignment_id, power_of_two(2)).status_code == 201
    world.work()
    assert unseen_for(world, timedelta(days=10), silent, active) == [False, True]
    assert traces(world, silent) == []


def test_one_worker_a_day_forgets_clients_unless_the_operator_keeps_them(world: World) -> None:
    device = world.task().device()
    world.advance(1000 * DAY)
    Worker(world.context, 0.5, "keeps", retention=Retention(clients=None)).sweep()
    assert kept(world, device) == [True]
    world.worker.sweep()
    assert kept(world, device) == [False]
    late = world.task().device()
    world.advance(1000 * DAY)
    Worker(world.context, 0.5, "another").sweep()  # the database's day is not over
    assert kept(world, late) == [True]


def test_clients_are_forgotten_also_where_nothing_else_can_be_deleted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = world.task().device()
    world.advance(1000 * DAY)
    with world.context.db.engine.begin() as connection:
        connection.execute(text("DELETE FROM aggregator.leases WHERE name = 'forgetting clients'"))

    def fails(*_: object) -> None:
        raise RuntimeError("for this test")

    monkeypatch.setattr(worker, "keep_bases", fails)
    monkeypatch.setattr(worker, "forget", fails)
    monkeypatch.setattr(type(world.context.home), "sweep", fails)
    world.worker.sweep()
    assert kept(world, device) == [False]


def test_clients_are_kept_for_ever_where_the_setting_is_null(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEDREC_AGGREGATOR_RETENTION__CLIENT_DAYS", "null")
    assert Settings(**world.settings.model_dump(exclude={"retention"})).retention.client_days is None


def test_an_erased_client_leaves_the_sum_it_is_in_and_the_hash_of_a_key_that_stays_refused(world: World) -> None:
    task, device = reported_once(world)
    assert traces(world, device) == ["assignments", "clients"]
    assert erase(world, device).status_code == 204
    assert traces(world, device) == ["audit_log"]
    newest = world.operator("GET", "/v1/audit").json()[0]
    assert (newest["action"], newest["subject"]) == ("erase client", device.client_id)
    assert refusal(device.send("POST", "/v1/check-ins", json={})) == (401, "unauthenticated")
    assert refusal(device.renew()) == (401, "unauthenticated")
    assert refusal(device.enrol(task.enrolment_key)) == (401, "unauthenticated")
    assert refusal(erase(world, device)) == (404, "not-found")
    published = task.get("/rounds")[-1]
    assert (published["state"], published["reports"], counted(task)) == ("published", 1, {4})


def test_a_client_is_erased_when_the_round_that_it_takes_part_in_is_over(world: World) -> None:
    task = world.task(**powers_task(goal=2, deadline_seconds=600))
    reported, asked = task.devices(2)
    assert reported.report(reported.assigned()["assignment_id"], power_of_two(1)).status_code == 201
    unanswered = asked.assigned()["assignment_id"]
    for device in (reported, asked):
        assert [erase(world, device).status_code for _ in range(2)] == [204, 204]
        assert device.check_in()["reason"] == "revoked"
    assert refusal(asked.report(unanswered, power_of_two(2))) == (403, "forbidden")
    forget(world.context, Retention())
    assert kept(world, reported, asked) == [True, True]
    world.advance(601)
    world.work()
    assert counted(task) == {1}  # its report was in the sum already
    forget(world.context, Retention())
    assert [traces(world, device) for device in (reported, asked)] == [["audit_log"], ["audit_log"]]
    assert refusal(reported.enrol(task.enrolment_key)) == (401, "unauthenticated")


def test_those_to_be_erased_go_in_batches_and_one_that_is_in_use_does_not_keep_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = world.task(**powers_task(goal=4, minimum_reports=4, deadline_seconds=600))
    devices = task.devices(4)
    for device in devices:
        device.assigned()
        assert erase(world, device).status_code == 204
    world.advance(601)
    world.work()
    monkeypatch.setattr(forget_clients, "_BATCH", 2)
    in_use = text("SELECT id FROM aggregator.clients WHERE id = :id FOR KEY SHARE")
    with world.context.db.engine.begin() as connection:
        connection.execute(in_use, {"id": devices[1].client_id})
        assert forget_clients.finish_erasures(world.context) == 3
    assert kept(world, *devices) == [False, True, False, False]
    assert forget_clients.finish_erasures(world.context) == 1


def test_what_was_held_against_a_client_goes_with_it_and_what_is_held_against_others_stays(world: World) -> None:
    task, device = reported_once(world)
    blame = text("UPDATE aggregator.rounds SET blamed = CAST(:blamed AS jsonb) WHERE task_id = :task AND number = 1")
    held = f'{{"{device.client_id}": "its share", "cli_other": "its mask"}}'
    with world.context.db.engine.begin() as connection:
        connection.execute(blame, {"blamed": held, "task": task.id})
    assert erase(world, device).status_code == 204
    assert task.get("/rounds")[-1]["blamed"] == {"cli_other": "its mask"}
    assert traces(world, device) == ["audit_log"]


def test_who_is_erased_in_the_middle_of_a_check_in_is_unknown_and_who_asked_beside_it_is_assigned(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = world.task(**powers_task(goal=4, deadline_seconds=600))
    erased, other = task.devices(2)
    read, answers = credentials.clients_of, list[int]()

    def clients_of(*arguments: Any) -> Any:
        found = read(*arguments)
        if not answers:
            answers.append(erase(world, erased).status_code)
        return found

    monkeypatch.setattr(credentials, "clients_of", clients_of)
    asking = [CheckingIn(device.client_id, (RoundKind.TRAINING,)) for device in (erased, other)]
    first, second = assign(world.context, task.id, asking)
    assert answers == [204]
    assert isinstance(first, Unauthenticated)
    assert isinstance(second, Assigned)


def test_only_administrators_erase(world: World) -> None:
    device = world.task().device()
    key = operator_key(world, Role.RUN)["secret"]
    assert refusal(world.operator("DELETE", f"/v1/clients/{device.client_id}", key=key)) == (403, "forbidden")
    assert kept(world, device) == [True]
