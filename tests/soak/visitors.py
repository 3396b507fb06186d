"""Devices that do not stay: an operator has each of them erased."""

from __future__ import annotations

import contextlib

import httpx

from tests.integration.aggregator.deployment import Device, Task
from tests.integration.aggregator.fleet import Fleet
from tests.soak.crowd import LATER, Person

PAUSE_SECONDS = 1.0


class Visitor(Person):
    """Enrols, perhaps asks for work, and is erased; then the next one comes."""

    def __init__(self, fleet: Fleet, task: Task, seed: str) -> None:
        super().__init__(seed)
        self._fleet = fleet
        self._task = task
        self._devices: list[Device] = []

    def live(self) -> None:
        while not self.stopping.is_set():
            with contextlib.suppress(httpx.TransportError, OSError):
                self._visit()
            self.pause(PAUSE_SECONDS)

    def require_gone(self) -> None:
        """The task is over: of everybody who was here nothing is left, and nobody comes back."""
        for device in self._devices:
            self._erase(device)  # who is gone already is not found
            answer = device.enrol(self._task.enrolment_key)
            assert answer.status_code == 401, f"an erased device is enrolled again: {answer.text}"
        query = "SELECT count(*) FROM aggregator.clients WHERE id = ANY(:ids)"
        assert self._fleet.value(query, ids=[device.client_id for device in self._devices]) == 0

    def _visit(self) -> None:
        device = Device(self._fleet)
        if device.enrol(self._task.enrolment_key, url=self._url()).status_code != 201:
            return
        self._devices.append(device)
        if self.random.random() < 0.5:
            device.send("POST", "/v1/check-ins", url=self._url(), json={})
        if self._erase(device):
            answer = device.send("POST", "/v1/check-ins", url=self._url(), json={})
            assert answer.status_code != 200 or answer.json().get("reason") == "revoked", answer.text

    def _erase(self, device: Device) -> bool:
        """Whether it was done, or had been."""
        answer = self._fleet.operator("DELETE", f"{self._url()}/v1/clients/{device.client_id}")
        is_done = answer.status_code in {204, 404}
        assert is_done or answer.json()["slug"] in LATER, answer.text
        return is_done

    def _url(self) -> str:
        return self.random.choice(self._fleet.aggregator_urls)
