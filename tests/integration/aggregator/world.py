"""An aggregator, a worker and a registry as they run in production, in this process, under one clock.

Requests go through real HTTP; the worker works when it is told to, so that a test decides what happens when.
"""

from __future__ import annotations

import base64
import itertools
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import numpy as np
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from numpy.typing import NDArray

from fedrec.local.ports import ReservedPort
from fedrec.local.secrets import Secrets
from fedrec_protocol import codec
from fedrec_protocol.digest import content_digest
from services.aggregator import app as aggregator_app
from services.aggregator.settings import Settings
from services.aggregator.worker import Worker
from services.kit.clock import ManualClock
from services.model_registry import app as registry_app
from services.model_registry.settings import Settings as RegistrySettings
from tests.unit.aggregator.manifests import content

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
_numbers = itertools.count(1)

Body = dict[str, NDArray[Any]]


class Server:
    """An application behind uvicorn in a thread."""

    def __init__(self, app: FastAPI, port: int) -> None:
        config = uvicorn.Config(
            app, host="127.0.0.1", port=port, log_config=None, access_log=False, timeout_graceful_shutdown=5
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise RuntimeError("the service did not start")
            self._thread.join(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)


class World:
    """One deployment on one database."""

    def __init__(self, database_url: str, *, aggregators: int = 1, **settings: Any) -> None:
        self.clock = ManualClock(NOON)
        self.secrets = Secrets.generate()
        self._ports = [ReservedPort() for _ in range(1 + aggregators)]
        self.registry_url, *self.aggregator_urls = [port.url for port in self._ports]
        self.registry_settings = RegistrySettings(
            database_url=database_url,
            key_pepper=self.secrets.registry_pepper,
            jwks_url=f"{self.aggregator_urls[0]}/.well-known/jwks.json",
            bootstrap_admin_key=self.secrets.registry_admin_key,
            bootstrap_run_key=self.secrets.registry_run_key,
            log_level="critical",
        )
        self.settings = Settings(
            database_url=database_url,
            deployment_key=self.secrets.deployment_key,
            registry_url=self.registry_url,
            registry_key=self.secrets.registry_run_key,
            bootstrap_admin_key=self.secrets.aggregator_admin_key,
            log_level="critical",
            **settings,
        )
        self.registry = self._serve(registry_app.create_app(self.registry_settings, self.clock), 0)
        self.apps = [aggregator_app.create_app(self.settings, self.clock) for _ in range(aggregators)]
        self.aggregators = [self._serve(app, index) for index, app in enumerate(self.apps, start=1)]
        self.context = aggregator_app.make_context(self.settings, self.clock)
        self.worker = Worker(self.context, 0.5, "test")
        self.http = httpx.Client(base_url=self.aggregator_url, timeout=60, trust_env=False)

    @property
    def aggregator_url(self) -> str:
        return self.aggregator_urls[0]

    def restart_aggregator(self, index: int = 0) -> None:
        """A new process in the place of an old one: what that had not acknowledged is lost."""
        self.aggregators[index].stop()
        self.apps[index] = aggregator_app.create_app(self.settings, self.clock)
        self.aggregators[index] = self._serve(self.apps[index], 1 + index)

    def stop_registry(self) -> None:
        self.registry.stop()

    def start_registry(self) -> None:
        self.registry = self._serve(registry_app.create_app(self.registry_settings, self.clock), 0)

    def stop(self) -> None:
        self.http.close()
        for server in (*self.aggregators, self.registry):
            server.stop()
        self.context.registry.close()
        self.context.db.dispose()
        for port in self._ports:
            port.release()

    def work(self, times: int = 1) -> None:
        """Let the worker do what is due now."""
        for _ in range(times):
            self.worker.run_once()

    def advance(self, seconds: float) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    def operator(self, method: str, path: str, *, key: str | None = None, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key or self.secrets.aggregator_admin_key}"}
        return self.http.request(method, path, headers=headers, **options)

    def registry_get(self, path: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.secrets.registry_admin_key}"}
        return httpx.get(self.registry_url + path, headers=headers, timeout=60, trust_env=False)

    def task(self, **changes: Any) -> Task:
        """A task with its first version and, unless it is over at once, an open round."""
        name = f"task-{next(_numbers)}"
        answer = self.operator("POST", "/v1/tasks", json=content(name=name, model=name) | changes)
        assert answer.status_code == 201, answer.text
        self.work()
        return Task(self, answer.json()["task_id"])

    def _serve(self, app: FastAPI, port: int) -> Server:
        return Server(app, self._ports[port].number)


@dataclass
class Task:
    """A task as its operator and its app use it."""

    world: World
    id: str
    _key: str = ""

    def get(self, path: str = "") -> Any:
        answer = self.world.operator("GET", f"/v1/tasks/{self.id}{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def steer(self, verb: str) -> httpx.Response:
        return self.world.operator("POST", f"/v1/tasks/{self.id}/{verb}")

    @property
    def round(self) -> Any:
        return self.get("/rounds/current")

    @property
    def enrolment_key(self) -> str:
        if not self._key:
            answer = self.world.operator("POST", f"/v1/tasks/{self.id}/enrolment-keys", json={})
            assert answer.status_code == 201, answer.text
            self._key = answer.json()["secret"]
        return self._key

    def device(self) -> Device:
        """A newly enrolled device."""
        device = Device(self.world)
        answer = device.enrol(self.enrolment_key)
        assert answer.status_code == 201, answer.text
        return device

    def devices(self, count: int) -> list[Device]:
        return [self.device() for _ in range(count)]

    def version(self, version_id: str | None = None) -> Any:
        answer = self.world.registry_get(f"/v1/versions/{version_id or self.get()['current_version_id']}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def weights(self, version_id: str | None = None) -> dict[str, NDArray[Any]]:
        answer = self.world.registry_get(f"/v1/versions/{version_id or self.get()['current_version_id']}/weights")
        assert answer.status_code == 200, answer.text
        return codec.decode(answer.content)


@dataclass
class Device:
    """A device that knows the protocol from its documents only."""

    world: World
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    client_id: str = ""
    token: str = ""

    def enrol(self, enrolment_key: str) -> httpx.Response:
        raw = base64.urlsafe_b64encode(self.key.public_key().public_bytes_raw()).decode().rstrip("=")
        headers = {"Authorization": f"Bearer {enrolment_key}"}
        answer = self.world.http.post("/v1/enrolments", json={"public_key": raw}, headers=headers)
        if answer.status_code == 201:
            self.client_id, self.token = answer.json()["client_id"], answer.json()["token"]["access_token"]
        return answer

    def assertion(self, **claims: Any) -> str:
        now = int(self.world.clock.now().timestamp())
        own = {"iss": self.client_id, "sub": self.client_id, "aud": "fedrec", "iat": now, "exp": now + 60}
        return jwt.encode(own | claims, self.key, algorithm="EdDSA")

    def renew(self, **claims: Any) -> httpx.Response:
        answer = self.world.http.post("/v1/tokens", json={"assertion": self.assertion(**claims)})
        if answer.status_code == 201:
            self.token = answer.json()["access_token"]
        return answer

    def send(self, method: str, path: str, *, url: str = "", **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}"} | options.pop("headers", {})
        return self.world.http.request(method, url + path, headers=headers, **options)

    def check_in(self, *, wait: int = 0, **body: Any) -> Any:
        answer = self.send("POST", "/v1/check-ins", json=body, headers={"Prefer": f"wait={wait}"} if wait else {})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def assigned(self) -> Any:
        answer = self.check_in()
        assert answer["outcome"] == "assigned", answer
        return answer["assignment"]

    def report(self, assignment_id: str, body: Body | bytes, *, url: str = "", **headers: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else codec.encode(body)
        announced = {"Content-Type": codec.MEDIA_TYPE, "Content-Digest": content_digest(content)}
        announced |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.send("POST", f"/v1/assignments/{assignment_id}/report", url=url, content=content, headers=announced)


def report_of(value: Any, *, examples: int = 1, metrics: list[float] | None = None, name: str = "items") -> Body:
    """A training report of one tensor."""
    body: Body = {name: np.asarray(value, np.float32), "fedrec.examples": np.array([examples], np.int64)}
    return body if metrics is None else body | {"fedrec.metrics": np.array(metrics, np.float32)}
