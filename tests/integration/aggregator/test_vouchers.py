"""Enrolment keys that demand vouchers: who may enrol by them, and what operators say of them."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from fedrec_protocol.messages import Role
from fedrec_sdk import Contributed, Participant
from tests.integration.aggregator.cohort import SIZE, KnownUpdate, update_of
from tests.integration.aggregator.deployment import Device, Task, report_of
from tests.integration.aggregator.test_credentials import operator_key
from tests.integration.aggregator.test_device_keys import refusal
from tests.integration.aggregator.test_forgotten_clients import tables_with
from tests.integration.aggregator.vouching import App, number_of_clients, public_bytes
from tests.integration.aggregator.world import World
from tests.issuers import Issuer, jkt

ONES = report_of(np.ones((2, 2)))


@pytest.fixture(scope="module")
def task(world: World) -> Task:
    """For tests that are not about rounds."""
    return world.task()


# ---- who may enrol ------------------------------------------------------------------------------------


def test_by_a_key_that_demands_vouchers_nobody_enrols_without_one(world: World) -> None:
    app = App(world.task())
    answer = Device(world).enrol(app.key)
    assert refusal(answer) == (401, "voucher-required")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "backend" in answer.json()["detail"]
    assert number_of_clients(app.task) == 0


@pytest.mark.parametrize(
    "claims",
    [{"exp": 0}, {"iss": "https://evil.example"}, {"aud": "mail"}, {"cnf": {"jkt": jkt(bytes(32))}}, {"sub": ""}],
    ids=str,
)
def test_a_voucher_that_does_not_hold_is_refused_and_costs_nothing(world: World, claims: dict[str, Any]) -> None:
    app = App(world.task())
    assert refusal(app.enrol(Device(world), "ada", **claims)) == (401, "voucher-invalid")
    assert refusal(Device(world).enrol(app.key, voucher="no.jwt.at all")) == (401, "voucher-invalid")
    assert number_of_clients(app.task) == 0


def test_another_backend_of_the_same_name_cannot_vouch(world: World, task: Task) -> None:
    app = App(task)
    other = App(task, backend=Issuer(issuer=app.backend.issuer))
    assert refusal(Device(world).enrol(app.key, voucher=other.voucher("ada"))) == (401, "voucher-invalid")


def test_a_bound_voucher_is_of_no_use_to_who_steals_it(world: World, task: Task) -> None:
    app = App(task, bound=True)
    device, thief = Device(world), Device(world)
    voucher = app.voucher("ada", cnf={"jkt": jkt(public_bytes(device))})
    assert refusal(thief.enrol(app.key, voucher=voucher)) == (401, "voucher-invalid")
    assert device.enrol(app.key, voucher=voucher).status_code == 201
    assert refusal(app.enrol(device, "ada")) == (401, "voucher-invalid")


def test_a_voucher_that_nobody_asked_for_is_refused_and_not_ignored(world: World, task: Task) -> None:
    answer = Device(world).enrol(task.enrolment_key, voucher=App(task).voucher("ada"))
    assert refusal(answer) == (422, "invalid-request")
    assert "demands no voucher" in answer.json()["detail"]


def test_a_voucher_that_is_too_long_is_refused_without_being_repeated(world: World, task: Task) -> None:
    answer = Device(world).enrol(App(task).key, voucher="x" * 8193)
    assert refusal(answer) == (422, "invalid-request")
    assert "xxx" not in answer.text


# ---- operators ----------------------------------------------------------------------------------------


def test_an_issuers_keys_are_replaced_at_runtime_and_the_people_stay(world: World, task: Task) -> None:
    app = App(task)
    ada = app.device("ada")
    successor = Issuer(ec.generate_private_key(ec.SECP256R1()), "2027", app.backend.issuer)
    answer = app.replace_vouchers(app.backend.vouchers(successor))
    assert [key["kid"] for key in answer.json()["vouchers"]["keys"]["keys"]] == ["2026", "2027"]
    now = world.clock.now().timestamp()
    for issuer in (app.backend, successor):
        assert Device(world).enrol(app.key, voucher=issuer.voucher("ada", now)).json()["client_id"] == ada.client_id
    app.replace_vouchers(successor.vouchers())
    assert refusal(app.enrol(Device(world), "ada")) == (401, "voucher-invalid")
    assert Device(world).enrol(app.key, voucher=successor.voucher("bob", now)).status_code == 201
    entry = world.operator("GET", "/v1/audit").json()[0]
    assert (entry["action"], entry["subject"]) == ("replace vouchers", app.key_id)


def test_a_key_that_demanded_nothing_can_be_made_to_demand_vouchers(world: World) -> None:
    task, backend = world.task(), Issuer()
    before = task.device()
    [key] = world.operator("GET", f"/v1/tasks/{task.id}/enrolment-keys").json()
    assert key["vouchers"] is None
    path = f"/v1/tasks/{task.id}/enrolment-keys/{key['key_id']}/vouchers"
    assert world.operator("PUT", path, json=backend.vouchers()).status_code == 200
    assert refusal(Device(world).enrol(task.enrolment_key)) == (401, "voucher-required")
    assert before.check_in()["outcome"] == "assigned"


def test_a_key_is_listed_with_what_it_demands(world: World) -> None:
    app = App(world.task(), bound=True)
    [view] = world.operator("GET", f"/v1/tasks/{app.task.id}/enrolment-keys").json()
    demanded = view["vouchers"]
    assert (demanded["issuer"], demanded["audience"], demanded["bound"]) == (app.backend.issuer, "films", True)
    [key] = demanded["keys"]["keys"]
    assert key == app.backend.jwk


def test_keys_of_other_tasks_and_unknown_ones_are_not_changed(world: World) -> None:
    app, other = App(world.task()), App(world.task())
    for path in (f"/{other.key_id}/vouchers", "/ekey_unknown/vouchers"):
        assert refusal(app.send("PUT", path, app.backend.vouchers())) == (404, "not-found")
    reader = operator_key(world, Role.READ)["secret"]
    path = f"/v1/tasks/{app.task.id}/enrolment-keys/{app.key_id}/vouchers"
    assert refusal(world.operator("PUT", path, key=reader, json=app.backend.vouchers())) == (403, "forbidden")


def test_private_symmetric_and_impossible_keys_are_refused_and_not_kept(world: World, task: Task) -> None:
    app = App(task)
    told = "the-private-half-of-a-key-which-was-told"
    wrong = [
        ({**app.backend.jwk, "d": told}, "private or symmetric"),
        ({"kty": "oct", "k": told, "kid": "a"}, "private or symmetric"),
        ({**Issuer(ec.generate_private_key(ec.SECP256R1())).jwk, "y": "A" * 43}, "no public key"),
    ]
    for key, why in wrong:
        vouchers = {**app.backend.vouchers(), "keys": {"keys": [key]}}
        for answer in (app.send("POST", "", {"vouchers": vouchers}), app.replace_vouchers(vouchers)):
            assert refusal(answer) == (422, "invalid-request")
            assert why in answer.json()["detail"]
            assert told not in answer.text
    assert tables_with(world, told) == []
    assert app.device("ada").client_id


def test_neither_the_voucher_nor_the_person_is_stored(world: World, task: Task) -> None:
    app, person = App(task), "ada.lovelace@example.org"
    device = Device(world)
    voucher = app.voucher(person)
    assert device.enrol(app.key, voucher=voucher).status_code == 201
    forms = [
        person.encode(),
        base64.urlsafe_b64encode(person.encode()),
        voucher.encode(),
        voucher.split(".")[1].encode(),
    ]
    assert tables_with(world, *(form.decode() for form in forms), *(form.hex() for form in forms)) == []
    assert tables_with(world, device.client_id) == ["clients", "persons"]
    assert person not in device.send("GET", "/v1/task").text


# ---- the SDK ------------------------------------------------------------------------------------------


def test_the_sdk_enrols_with_bound_vouchers_also_where_its_key_enrolled_without_one(
    world: World, tmp_path: Path
) -> None:
    world.advance((datetime.now(UTC) - world.clock.now()).total_seconds())  # the SDK goes by the real time
    task = world.task(shared=[{"name": "items", "shape": [SIZE]}], rounds={"aggregation_goal": 1})
    app = App(task, bound=True)
    trainer = KnownUpdate(update_of(1))

    def vouch(thumbprint: str) -> str:
        return app.voucher("ada", cnf={"jkt": thumbprint})

    with Participant(world.aggregator_urls[0], task.enrolment_key, tmp_path / "phone", trainer, seed=1) as before:
        stranger, key = before.enrol(), before.store.values.get("device_key")
    with Participant(world.aggregator_urls[0], app.key, tmp_path / "phone", trainer, seed=1, voucher=vouch) as phone:
        client_id = phone.enrol()
        assert client_id != stranger
        assert phone.store.values.get("device_key") != key
        tablet = Participant(world.aggregator_urls[1], app.key, tmp_path / "tablet", trainer, seed=1, voucher=vouch)
        with tablet:
            assert tablet.enrol() == client_id
        assert isinstance(phone.contribute(), Contributed)  # its token had ended
