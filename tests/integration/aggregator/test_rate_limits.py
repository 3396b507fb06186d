"""Limits of how often one credential may be used, at both services."""

from __future__ import annotations

import httpx
import pytest

from services.kit.rate_limits import Rate, RateLimit
from tests.integration.aggregator.deployment import Device
from tests.integration.aggregator.test_bad_reports import assert_problem
from tests.integration.aggregator.vouching import App
from tests.integration.aggregator.world import World

FEW = Rate(per_second=0.01, burst=3)


@pytest.fixture
def strict(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world with tight limits at its first aggregator: an operator has three requests for a test."""
    access = world.apps[0].state.access
    for name in ("participants", "operators", "apps"):
        monkeypatch.setattr(access, name, RateLimit(name, FEW))
    return world


def assert_limited(answer: httpx.Response) -> None:
    assert_problem(answer, 429, "rate-limited")
    assert int(answer.headers["retry-after"]) >= 1


def test_a_device_that_asks_too_often_is_told_to_wait_and_the_others_are_served(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = world.task()
    eager, other = task.devices(2)
    monkeypatch.setattr(world.apps[0].state.access, "participants", RateLimit("participant", FEW))
    answers = [eager.send("POST", "/v1/check-ins", json={}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert_limited(answers[-1])
    assert_limited(eager.report("asg_unknown", b""))
    assert_limited(eager.renew())
    assert other.send("POST", "/v1/check-ins", json={}).status_code == 200


def test_an_operator_key_and_an_enrolment_key_have_limits_too(strict: World) -> None:
    key = strict.operator("POST", "/v1/operator-keys", json={"name": "eager", "role": "read"}).json()["secret"]
    answers = [strict.operator("GET", "/v1/tasks", key=key) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert_limited(answers[-1])
    task_id = strict.operator("GET", "/v1/tasks").json()[0]["task_id"]
    enrolment_key = strict.operator("POST", f"/v1/tasks/{task_id}/enrolment-keys", json={}).json()["secret"]
    headers = {"Authorization": f"Bearer {enrolment_key}"}
    answers = [strict.http.post("/v1/enrolments", json={"public_key": "A" * 43}, headers=headers) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 429]


def test_nobody_uses_up_what_is_another_s_by_claiming_to_be_it(strict: World) -> None:
    device = strict.task().device()
    for _ in range(5):
        refused = strict.http.post("/v1/tokens", json={"assertion": device.assertion()[:-4] + "AAAA"})
        assert refused.status_code == 401
    assert device.renew().status_code == 201


def test_who_took_the_enrolment_key_out_of_the_app_uses_up_nothing_without_vouchers(strict: World) -> None:
    app = App(strict.task())
    for _ in range(5):
        assert_problem(Device(strict).enrol(app.key), 401, "voucher-required")
        assert_problem(Device(strict).enrol(app.key, voucher="no.voucher.at all"), 401, "voucher-invalid")
    answers = [app.enrol(Device(strict), person) for person in ("ada", "bob", "grace", "emmy")]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 429]


def test_a_person_enrols_only_so_often(strict: World, monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(strict.task())
    monkeypatch.setattr(strict.apps[0].state.access, "apps", RateLimit("app", Rate(per_second=100, burst=100)))
    answers = [app.enrol(Device(strict), "ada") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
    assert app.enrol(Device(strict), "bob").status_code == 201


def test_the_registry_limits_devices_as_well(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    task = world.task()
    device = task.device()
    url = device.assigned()["base"]["url"]
    limit = RateLimit("participant", FEW)
    monkeypatch.setattr(world.registry_app.state.context.participants, "take", limit.take)
    headers = {"Authorization": f"Bearer {device.token}"}
    answers = [httpx.head(url, headers=headers, trust_env=False) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


def test_what_was_refused_is_counted(strict: World) -> None:
    device = strict.task().device()
    for _ in range(5):
        device.send("POST", "/v1/check-ins", json={})
    text = strict.operator("GET", "/metrics", key=strict.secrets.aggregator_admin_key).text
    (line,) = [line for line in text.splitlines() if line.startswith('fedrec_rate_limited_total{who="participants"}')]
    assert float(line.split()[1]) >= 2
