"""One person is one client, whatever device they enrol, and whoever else tries to be them."""

from __future__ import annotations

import base64
import concurrent.futures

import httpx
import numpy as np
import pytest
from sqlalchemy import text

from services.aggregator.domain.retention import Retention
from services.aggregator.pipeline.forget import forget
from services.aggregator.storage import credentials, persons
from tests.integration.aggregator.deployment import Device, Task, report_of
from tests.integration.aggregator.powers import counted, power_of_two, powers_task
from tests.integration.aggregator.test_device_keys import change, refusal
from tests.integration.aggregator.test_forgotten_clients import erase, kept, tables_with
from tests.integration.aggregator.vouching import App, number_of_clients, public_bytes, revoke
from tests.integration.aggregator.world import World
from tests.integration.meanwhile import meanwhile

ONES = report_of(np.ones((2, 2)))


@pytest.fixture(scope="module")
def task(world: World) -> Task:
    """For tests that are not about rounds."""
    return world.task()


# ---- one person is one client -------------------------------------------------------------------------


def test_a_person_who_installs_the_app_again_is_the_same_client_with_another_key(world: World) -> None:
    app = App(world.task(rounds={"aggregation_goal": 2}))
    lost = app.device("ada")
    assignment_id = lost.assigned()["assignment_id"]
    again, bob = app.device("ada"), app.device("bob")
    assert again.client_id == lost.client_id != bob.client_id
    assert again.assigned()["assignment_id"] == assignment_id
    assert refusal(lost.send("POST", "/v1/check-ins", json={})) == (401, "credential-expired")
    assert refusal(lost.report(assignment_id, ONES)) == (401, "credential-expired")
    assert refusal(lost.renew()) == (401, "unauthenticated")
    assert again.report(assignment_id, ONES).status_code == 201
    assert number_of_clients(app.task) == 2


def test_the_device_that_enrolled_last_is_the_persons_and_the_other_one_can_take_turns(world: World) -> None:
    app = App(world.task())
    phone, tablet = app.device("ada"), app.device("ada")
    for device, other in ((phone, tablet), (tablet, phone)):
        assert app.enrol(device, "ada").status_code == 201
        assert device.check_in()["outcome"] == "assigned"
        assert refusal(other.send("POST", "/v1/check-ins", json={})) == (401, "credential-expired")


@pytest.mark.parametrize(
    ("bound", "reason"), [({"maximum_participations": 1}, "participation-cap"), ({"minimum_separation": 5}, "too-soon")]
)
def test_three_reinstalls_are_one_participant_to_every_bound(world: World, bound: dict[str, int], reason: str) -> None:
    app = App(world.task(**powers_task(goal=1, **bound)))
    first = app.device("ada")
    assert first.report(first.assigned()["assignment_id"], power_of_two(4)).status_code == 201
    world.work()
    for _ in range(3):
        assert app.device("ada").check_in()["reason"] == reason
    assert app.device("bob").check_in()["outcome"] == "assigned"
    assert counted(app.task) == {4}


def test_the_receipt_of_a_report_outlives_the_device_that_sent_it(world: World) -> None:
    app = App(world.task(rounds={"aggregation_goal": 2}))
    before = app.device("ada")
    assignment_id = before.assigned()["assignment_id"]
    receipt = before.report(assignment_id, ONES).json()
    after = app.device("ada")
    assert after.assignment(assignment_id)["receipt"] == receipt
    assert after.check_in()["reason"] == "already-reported"
    assert refusal(after.report(assignment_id, report_of(np.zeros((2, 2))))) == (409, "report-conflict")


def test_a_repeated_request_changes_nothing(world: World, task: Task) -> None:
    app, device = App(task), Device(world)
    voucher = app.voucher("ada")
    ids = {device.enrol(app.key, voucher=voucher, url=url).json()["client_id"] for url in world.aggregator_urls}
    assert ids == {device.client_id}
    assert device.renew().status_code == 201


def test_keys_of_one_issuer_know_the_same_people_and_tasks_do_not_share_them(world: World, task: Task) -> None:
    app = App(task)
    second = App(app.task, backend=app.backend)
    elsewhere = App(world.task(), backend=app.backend)
    ada = app.device("ada")
    assert second.device("ada").client_id == ada.client_id
    assert elsewhere.device("ada").client_id != ada.client_id
    with world.context.db.engine.connect() as connection:
        hashes = connection.execute(text("SELECT person_hash FROM aggregator.persons")).scalars().all()
    assert len(hashes) == len(set(hashes))


# ---- at the same moment -------------------------------------------------------------------------------


def enrol_at_once(app: App, devices: list[Device], person: str) -> list[httpx.Response]:
    urls = app.task.world.aggregator_urls
    with concurrent.futures.ThreadPoolExecutor(len(devices)) as pool:
        asked = [
            pool.submit(app.enrol, device, person, url=urls[number % len(urls)])
            for number, device in enumerate(devices)
        ]
    return [answer.result() for answer in asked]


@pytest.mark.parametrize("is_known", [False, True])
def test_devices_of_one_person_at_the_same_moment_become_one_client_with_one_key(world: World, is_known: bool) -> None:
    app = App(world.task())
    if is_known:
        app.device("ada")
    devices = [Device(world) for _ in range(6)]
    answers = enrol_at_once(app, devices, "ada")
    assert [answer.status_code for answer in answers] == [201] * 6
    assert len({answer.json()["client_id"] for answer in answers}) == number_of_clients(app.task) == 1
    assert sorted(device.renew().status_code for device in devices) == [201] + [401] * 5


def test_the_same_request_at_three_processes_at_the_same_moment_is_one_client(world: World) -> None:
    app, device = App(world.task()), Device(world)
    answers = enrol_at_once(app, [device] * 3, "ada")
    assert {answer.status_code for answer in answers} == {201}
    assert number_of_clients(app.task) == 1
    assert device.renew().status_code == 201


def test_a_key_that_two_people_want_at_the_same_moment_is_one_of_theirs(world: World) -> None:
    app, device = App(world.task()), Device(world)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answers = list(pool.map(lambda person: app.enrol(device, person), ["ada", "bob"]))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    assert number_of_clients(app.task) == 1


def test_a_person_whose_first_device_is_being_enrolled_waits_for_that(world: World, task: Task) -> None:
    app, second, answers = App(task), Device(world), list[httpx.Response]()
    ada = app.device("ada")
    with world.context.db.engine.connect() as connection:
        mine = text("SELECT person_hash FROM aggregator.persons WHERE client_id = :id")
        person = bytes(connection.execute(mine, {"id": ada.client_id}).scalar_one())
    with meanwhile(world.context.db.engine, lambda: answers.append(app.enrol(second, "ada"))) as tx:
        assert persons.client_of(tx, app.task.id, person) == ada.client_id
        tx.execute(text("UPDATE aggregator.clients SET revoked_at = now() WHERE id = :id"), {"id": ada.client_id})
    assert refusal(answers[0]) == (401, "unauthenticated")


# ---- nobody becomes somebody else ---------------------------------------------------------------------


def test_a_persons_voucher_does_not_open_another_persons_client(world: World, task: Task) -> None:
    app = App(task)
    ada, bob = app.device("ada"), app.device("bob")
    thief = Device(world, key=bob.key)
    for person in ("ada", "eve"):  # a person with a client, and one without
        assert refusal(app.enrol(thief, person)) == (409, "device-key-taken")
    assert thief.client_id == ""
    assert [each.renew().status_code for each in (ada, bob)] == [201, 201]


def test_without_a_voucher_nobody_becomes_a_persons_client(world: World, task: Task) -> None:
    app = App(task)
    ada = app.device("ada")
    assert refusal(Device(world, key=ada.key).enrol(app.task.enrolment_key)) == (401, "voucher-required")
    stranger = app.task.device()
    assert refusal(change(stranger, ada.key)) == (409, "device-key-taken")
    assert ada.renew().status_code == 201


def test_a_voucher_does_not_take_over_a_client_that_enrolled_without(world: World, task: Task) -> None:
    app = App(task)
    stranger = app.task.device()
    assert refusal(app.enrol(Device(world, key=stranger.key), "ada")) == (409, "device-key-taken")
    app.device("ada")
    assert refusal(app.enrol(Device(world, key=stranger.key), "ada")) == (409, "device-key-taken")
    assert stranger.renew().status_code == 201


def test_who_has_a_voucher_and_a_persons_public_key_only_cannot_use_the_token(world: World, task: Task) -> None:
    app = App(task)
    ada = app.device("ada")
    raw = base64.urlsafe_b64encode(public_bytes(ada)).decode().rstrip("=")
    body = {"public_key": raw, "voucher": app.voucher("ada")}
    stolen = world.http.post("/v1/enrolments", json=body, headers={"Authorization": f"Bearer {app.key}"}).json()
    thief = Device(world, client_id=ada.client_id, token=stolen["token"]["access_token"])
    assert refusal(thief.send("POST", "/v1/check-ins", json={})) == (401, "signature-required")


def test_a_person_replaces_the_devices_key_and_stays_the_same_client(world: World, task: Task) -> None:
    app = App(task)
    device, other = app.device("ada"), Device(world)
    assert change(device, other.key).status_code == 200
    assert app.enrol(other, "ada").json()["client_id"] == device.client_id


# ---- who may not come back ----------------------------------------------------------------------------


def test_a_revoked_person_stays_refused_on_every_device(world: World, task: Task) -> None:
    app = App(task)
    ada = app.device("ada")
    revoke(app, ada)
    for device in (ada, Device(world)):
        assert refusal(app.enrol(device, "ada")) == (401, "unauthenticated")
    assert app.device("bob").renew().status_code == 201
    assert App(world.task(), backend=app.backend).device("ada").client_id  # another task knows nothing of it


def test_an_erased_person_leaves_a_hash_and_stays_refused(world: World) -> None:
    app = App(world.task())
    ada, bob = app.device("ada"), app.device("bob")
    assert erase(world, ada).status_code == 204
    assert kept(world, ada, bob) == [False, True]
    assert tables_with(world, ada.client_id, public_bytes(ada).hex()) == ["audit_log"]
    assert refusal(app.enrol(Device(world), "ada")) == (401, "unauthenticated")
    assert refusal(app.enrol(ada, "ada")) == (401, "unauthenticated")
    assert refusal(app.enrol(bob, "ada")) == (409, "device-key-taken")
    assert number_of_clients(app.task) == 1


def test_a_key_that_is_refused_is_nobodys_whoever_is_vouched_for(world: World, task: Task) -> None:
    app, stranger = App(task), task.device()
    ada = app.device("ada")
    assert erase(world, stranger).status_code == 204
    again = Device(world, key=stranger.key)
    assert refusal(app.enrol(again, "eve")) == (401, "unauthenticated")
    assert refusal(app.enrol(again, "ada")) == (409, "device-key-taken")
    assert ada.renew().status_code == 201


def test_a_person_who_is_erased_while_they_enrol_again_is_refused(world: World) -> None:
    app, second, answers = App(world.task()), Device(world), list[httpx.Response]()
    ada = app.device("ada")
    with meanwhile(world.context.db.engine, lambda: answers.append(app.enrol(second, "ada"))) as tx:
        credentials.revoke_client(tx, app.task.id, ada.client_id, world.context.now())
        persons.refuse(tx, [ada.client_id])
        tx.execute(text("DELETE FROM aggregator.clients WHERE id = :id"), {"id": ada.client_id})
    assert refusal(answers[0]) == (401, "unauthenticated")
    assert number_of_clients(app.task) == 0


def test_a_person_whose_round_is_under_way_is_erased_with_its_end(world: World) -> None:
    app = App(world.task(**powers_task(goal=2, deadline_seconds=600)))
    ada = app.device("ada")
    assert ada.report(ada.assigned()["assignment_id"], power_of_two(1)).status_code == 201
    assert erase(world, ada).status_code == 204
    assert refusal(app.enrol(Device(world), "ada")) == (401, "unauthenticated")
    world.advance(601)
    world.work()
    forget(world.context, Retention())
    assert kept(world, ada) == [False]
    assert refusal(app.enrol(Device(world), "ada")) == (401, "unauthenticated")


def test_of_a_task_that_is_deleted_no_person_is_left(world: World) -> None:
    app = App(world.task(stop={"round_budget": 1}))
    app.device("ada"), erase(world, app.device("bob"))
    app.task.steer("cancel")
    world.work()
    assert world.operator("DELETE", f"/v1/tasks/{app.task.id}").status_code == 204
    assert tables_with(world, app.task.id) == ["audit_log"]
