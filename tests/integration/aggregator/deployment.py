"""What a test asks of a deployment: an operator, tasks and devices, through HTTP and from the documents only."""

from __future__ import annotations

import base64
import itertools
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from fedrec.local.secrets import Secrets
from fedrec_protocol import codec
from fedrec_protocol.digest import content_digest
from services.kit.clock import Clock
from tests.unit.aggregator.manifests import content

_numbers = itertools.count(1)

Body = dict[str, NDArray[Any]]


class Deployment:
    """Services somewhere, with their administrators' keys.

    Attributes:
        clock: what the services go by.
    """

    def __init__(
        self,
        aggregator_urls: list[str],
        registry_url: str,
        secrets: Secrets,
        clock: Clock,
        *,
        timeout_seconds: float = 60,
    ) -> None:
        self.aggregator_urls = aggregator_urls
        self.registry_url = registry_url
        self.secrets = secrets
        self.clock = clock
        self.http = httpx.Client(base_url=aggregator_urls[0], timeout=timeout_seconds, trust_env=False)

    def work(self) -> None:
        """Return when the worker has done what is due."""
        raise NotImplementedError

    def operator(self, method: str, path: str, *, key: str | None = None, **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key or self.secrets.aggregator_admin_key}"}
        return self.http.request(method, path, headers=headers, **options)

    def registry_get(self, path: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.secrets.registry_admin_key}"}
        url = self.registry_url + path
        return patiently(lambda: httpx.get(url, headers=headers, timeout=60, trust_env=False))

    def task(self, **changes: Any) -> Task:
        """A task with its first version and, unless it is over at once, an open round."""
        name = f"task-{next(_numbers)}"
        answer = self.operator("POST", "/v1/tasks", json=content(name=name, model=name) | changes)
        assert answer.status_code == 201, answer.text
        self.work()
        return Task(self, answer.json()["task_id"])


@dataclass
class Task:
    """A task as its operator and its app use it."""

    world: Deployment
    id: str
    _key: str = ""

    def get(self, path: str = "") -> Any:
        """What the operator is shown."""
        answer = patiently(lambda: self.world.operator("GET", f"/v1/tasks/{self.id}{path}"))
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

    world: Deployment
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    client_id: str = ""
    token: str = ""

    def enrol(self, enrolment_key: str, *, voucher: str | None = None, url: str = "") -> httpx.Response:
        raw = base64.urlsafe_b64encode(self.key.public_key().public_bytes_raw()).decode().rstrip("=")
        headers, shown = {"Authorization": f"Bearer {enrolment_key}"}, {"voucher": voucher} if voucher else {}
        answer = self.world.http.post(f"{url}/v1/enrolments", json={"public_key": raw} | shown, headers=headers)
        if answer.status_code == 201:
            self.client_id, self.token = answer.json()["client_id"], answer.json()["token"]["access_token"]
            if answer.json()["token"]["must_sign"]:  # it was enrolled before; one assertion is less work than many
                self.renew(url=url)
        return answer

    def assertion(self, **claims: Any) -> str:
        now = int(self.world.clock.now().timestamp())
        own = {"iss": self.client_id, "sub": self.client_id, "aud": "fedrec", "iat": now, "exp": now + 60}
        return jwt.encode(own | claims, self.key, algorithm="EdDSA")

    def renew(self, *, url: str = "", **claims: Any) -> httpx.Response:
        answer = self.world.http.post(f"{url}/v1/tokens", json={"assertion": self.assertion(**claims)})
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

    def report_and_leave(self, assignment_id: str, body: bytes, length: int, *, url: str = "") -> None:
        """Send so many bytes of a body, and wait for no answer."""
        lines = [
            f"POST /v1/assignments/{assignment_id}/report HTTP/1.1",
            "Host: aggregator",
            f"Authorization: Bearer {self.token}",
            f"Content-Type: {codec.MEDIA_TYPE}",
            f"Content-Length: {len(body)}",
            f"Content-Digest: {content_digest(body)}",
        ]
        head = "\r\n".join([*lines, "", ""]).encode()
        address = httpx.URL(url or self.world.aggregator_urls[0])
        with socket.create_connection((address.host, address.port or 80), timeout=60) as connection:
            connection.sendall(head + body[:length])

    def assignment(self, assignment_id: str) -> Any:
        """What became of an assignment."""
        answer = self.send("GET", f"/v1/assignments/{assignment_id}")
        assert answer.status_code == 200, answer.text
        return answer.json()


def patiently(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The first answer that is not: later. Postgres may have been restarted a moment ago."""
    answer = ask()
    while answer.status_code == 503:
        time.sleep(float(answer.headers["Retry-After"]))
        answer = ask()
    return answer


def report_of(value: Any, *, examples: int = 1, metrics: list[float] | None = None, name: str = "items") -> Body:
    """A training report of one tensor."""
    body: Body = {name: np.asarray(value, np.float32), "fedrec.examples": np.array([examples], np.int64)}
    return body if metrics is None else body | {"fedrec.metrics": np.array(metrics, np.float32)}
