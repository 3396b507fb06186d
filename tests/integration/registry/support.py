"""A running registry as tests see it, and the part of an aggregator that it needs."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import numpy as np
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import func, select, text

from fedrec_protocol import codec
from fedrec_protocol.messages import Role
from services.kit import access_tokens
from services.kit.clock import ManualClock
from services.kit.serving import listen
from services.model_registry.api.context import Context
from services.model_registry.app import create_app
from services.model_registry.settings import Settings

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADMIN_KEY = "fo_" + "a" * 43
PEPPER = base64.urlsafe_b64encode(bytes(range(32))).decode()


class KeyServer:
    """The part of an aggregator that the registry needs: its public keys, and how often they were asked for."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.is_up = True
        self.asked = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked += 1
                body = json.dumps(access_tokens.jwks([server.key.public_key()])).encode()
                self.send_response(200 if server.is_up else 500)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._http = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_port}/.well-known/jwks.json"

    def token(self, model: str, now: datetime = NOON) -> str:
        return access_tokens.issue(access_tokens.Participant("cli_1", "tsk_1", model), self.key, now)

    def stop(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@dataclass
class Registry:
    """A running registry and its callers."""

    client: TestClient
    context: Context
    keys: KeyServer
    clock: ManualClock
    secrets: dict[Role, str] = field(default_factory=dict)

    def as_role(self, role: Role) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secrets[role]}"}

    def as_participant(self, model: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.keys.token(model, self.clock.now())}"}

    def send(self, method: str, path: str, role: Role = Role.RUN, **options: Any) -> Any:
        headers = self.as_role(role) | options.pop("headers", {})
        return self.client.request(method, path, headers=headers, **options)

    def count(self, table: str) -> int:
        query = select(func.count()).select_from(text(f"registry.{table}"))
        return self.context.db.run("count", lambda tx: tx.execute(query).scalar_one())

    def make_key(self, role: Role, **options: Any) -> dict[str, Any]:
        answer = self.send("POST", "/v1/operator-keys", Role.ADMIN, json={"name": f"a {role}", "role": role, **options})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def upload(self, body: bytes, **headers: str) -> Any:
        digest = hashlib.sha256(body).hexdigest()
        sent = {"Content-Type": codec.MEDIA_TYPE} | headers
        return self.send("PUT", f"/v1/weights/{digest}", content=body, headers=sent)

    def publish(self, model: str, body: bytes, **request: Any) -> dict[str, Any]:
        """Upload weights and make them a version."""
        uploaded = self.upload(body)
        assert uploaded.status_code in (200, 201), uploaded.text
        published = self.send(
            "POST", f"/v1/models/{model}/versions", json={"digest": uploaded.json()["digest"]} | request
        )
        assert published.status_code in (200, 201), published.text
        return dict(published.json())


def settings_for(database_url: str, keys: KeyServer, **others: Any) -> Settings:
    """Settings of a registry that trusts the tokens of `keys`."""
    values = {
        "database_url": database_url,
        "key_pepper": PEPPER,
        "jwks_url": keys.url,
        "bootstrap_admin_key": ADMIN_KEY,
        "maximum_weights_bytes": 8 * 1024 * 1024,
        "log_level": "warning",
    }
    return Settings.model_validate(values | others)


def weights(seed: int, elements: int = 64) -> bytes:
    """A small model, another for every seed."""
    values = np.random.default_rng(seed).standard_normal(elements).astype(np.float32)
    return codec.encode({"items": values.reshape(-1, 8)})


@contextmanager
def running(settings: Settings, keys: KeyServer) -> Iterator[Registry]:
    """A registry in this process, at noon, with a key of every role."""
    clock = ManualClock(NOON)
    app = create_app(settings, clock)
    with TestClient(app, raise_server_exceptions=False) as client:
        registry = Registry(client, app.state.context, keys, clock, {Role.ADMIN: ADMIN_KEY})
        for role in (Role.READ, Role.RUN):
            registry.secrets[role] = registry.make_key(role)["secret"]
        yield registry


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Answer for an application on a port of this machine, as uvicorn does in production; gives its address."""
    with listen("127.0.0.1", 0) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="on"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                thread.join(0.01)
                if not thread.is_alive():
                    raise RuntimeError("the service did not start")
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
