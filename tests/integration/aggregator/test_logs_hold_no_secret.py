"""What the processes write to their logs at the most talkative level: no key, no token, no password."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from fedrec.local.postgres import LocalPostgres
from fedrec.local.stack import LocalStack, local_stack
from services.kit.clock import SystemClock
from tests.integration.aggregator.deployment import Deployment, Device, Task
from tests.integration.aggregator.fleet import until
from tests.integration.aggregator.powers import power_of_two, powers_task
from tests.integration.aggregator.vouching import App

PASSWORD = "the-password-of-the-database"
VOUCHERS: dict[str, dict[str, Any]] = {"that holds": {}, "that has expired": {"exp": 0}, "of nobody": {"aud": "mail"}}
TALKATIVE = {"FEDREC_AGGREGATOR_LOG_LEVEL": "debug", "FEDREC_REGISTRY_LOG_LEVEL": "debug"}


class Talkative(Deployment):
    def __init__(self, stack: LocalStack) -> None:
        super().__init__(stack.aggregator_urls, stack.registry_url, stack.secrets, SystemClock())

    def work(self) -> None:
        """The worker works by itself."""


@pytest.fixture
def postgres() -> Iterator[LocalPostgres]:
    with LocalPostgres(fsync=False) as server:
        yield server


def test_no_secret_is_logged_whatever_happens(postgres: LocalPostgres, tmp_path: Path) -> None:
    url = make_url(postgres.url).set(password=PASSWORD).render_as_string(hide_password=False)
    with local_stack(tmp_path, database_url=url, environment=TALKATIVE) as stack:
        deployment = Talkative(stack)
        used = use_everything(deployment)
        as_admin = {"Authorization": f"Bearer {deployment.secrets.registry_admin_key}"}
        postgres.kill()  # errors are logged with all they know
        assert deployment.operator("GET", "/v1/tasks").status_code == 503
        assert (
            httpx.get(f"{stack.registry_url}/v1/models", headers=as_admin, timeout=60, trust_env=False).status_code
            == 503
        )
        postgres.start()
        until(lambda: deployment.operator("GET", "/v1/tasks").status_code == 200)
        deployment.http.close()
    logs = {path.name: path.read_text() for path in (tmp_path / "logs").iterdir()}
    assert set(logs) == {"aggregator-0.log", "registry.log", "worker-0.log"}
    assert '"path": "/v1/check-ins"' in logs["aggregator-0.log"]
    assert "storage unavailable" in logs["aggregator-0.log"]
    secrets = asdict(deployment.secrets) | used | {"password": PASSWORD}
    found = {what: name for what, secret in secrets.items() for name, log in logs.items() if secret in log}
    assert found == {}


def use_everything(deployment: Deployment) -> dict[str, str]:
    """A round with every kind of credential, right and wrong; returns their secrets."""
    task: Task = deployment.task(**powers_task(goal=1))
    device = task.device()
    assertion = device.assertion()
    assert deployment.http.post("/v1/tokens", json={"assertion": assertion}).status_code == 201
    until(lambda: task.get()["current_version_id"])
    until(lambda: device.check_in()["outcome"] == "assigned")
    assignment = device.assigned()
    assert device.report(assignment["assignment_id"], power_of_two(3)).status_code == 201
    until(lambda: task.get()["rounds_published"])
    key = deployment.operator("POST", "/v1/operator-keys", json={"name": "ada", "role": "read"}).json()
    wrong = {"operator": "fo_" + "w" * 43, "token": "ey.this.was-never-a-token", "enrolment": "fe_" + "v" * 43}
    for credential in wrong.values():
        deployment.operator("GET", "/v1/tasks", key=credential)
        deployment.http.post("/v1/enrolments", json={}, headers={"Authorization": f"Bearer {credential}"})
    deployment.http.post("/v1/tokens", json={"assertion": assertion, "secret": wrong["token"]})
    return wrong | {
        "enrolment key": task.enrolment_key,
        "token of a device": device.token,
        "assertion": assertion,
        "operator key": key["secret"],
        **use_vouchers(task),
    }


def use_vouchers(task: Task) -> dict[str, str]:
    """A person enrols and is refused; returns what says who it is, and a private key that was sent by mistake."""
    app, person, private = App(task), "ada.lovelace@example.org", "the-private-half-of-a-key"
    device, mistaken = Device(task.world), {**app.backend.vouchers(), "keys": {"keys": [{"kty": "oct", "k": private}]}}
    vouchers = {f"voucher {kind}": app.voucher(person, **claims) for kind, claims in VOUCHERS.items()}
    statuses = {device.enrol(app.key, voucher=voucher).status_code for voucher in vouchers.values()}
    assert statuses == {201, 401}
    assert device.enrol(app.key, voucher="x" * 8193 + person).status_code == 422
    assert app.replace_vouchers(mistaken).status_code == 422
    return vouchers | {"person": person, "private key": private}
