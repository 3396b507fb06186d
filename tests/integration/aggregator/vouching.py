"""An app whose backend vouches for the people who use it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import httpx
from sqlalchemy import text

from tests.integration.aggregator.deployment import Device, Task
from tests.integration.aggregator.world import World
from tests.issuers import Issuer

_numbers = itertools.count(1)


def new_issuer() -> Issuer:
    """One whom nobody knows yet: so are its people."""
    return Issuer(issuer=f"https://login-{next(_numbers)}.example")


@dataclass
class App:
    """An app with a backend that vouches for the people who use it."""

    task: Task
    bound: bool = False
    backend: Issuer = field(default_factory=new_issuer)

    def __post_init__(self) -> None:
        answer = self.send("POST", "", {"vouchers": self.backend.vouchers(bound=self.bound)})
        assert answer.status_code == 201, answer.text
        self.key_id, self.key = answer.json()["key_id"], answer.json()["secret"]

    def send(self, method: str, path: str, body: Any) -> httpx.Response:
        return self.task.world.operator(method, f"/v1/tasks/{self.task.id}/enrolment-keys{path}", json=body)

    def replace_vouchers(self, vouchers: dict[str, Any]) -> httpx.Response:
        return self.send("PUT", f"/{self.key_id}/vouchers", vouchers)

    def voucher(self, person: str, **claims: Any) -> str:
        return self.backend.voucher(person, self.task.world.clock.now().timestamp(), **claims)

    def enrol(self, device: Device, person: str, *, url: str = "", **claims: Any) -> httpx.Response:
        return device.enrol(self.key, voucher=self.voucher(person, **claims), url=url)

    def device(self, person: str) -> Device:
        """A new device of a person, which has enrolled."""
        device = Device(self.task.world)
        answer = self.enrol(device, person)
        assert answer.status_code == 201, answer.text
        return device


def public_bytes(device: Device) -> bytes:
    return device.key.public_key().public_bytes_raw()


def number_of_clients(task: Task) -> int:
    assert isinstance(task.world, World)
    with task.world.context.db.engine.connect() as connection:
        query = text("SELECT count(*) FROM aggregator.clients WHERE task_id = :task")
        return int(connection.execute(query, {"task": task.id}).scalar_one())


def revoke(app: App, device: Device) -> None:
    answer = app.task.world.operator("DELETE", f"/v1/tasks/{app.task.id}/clients/{device.client_id}")
    assert answer.status_code == 204
