"""Large files and slow peers, over real sockets: what they may hold, and for how long."""

import hashlib
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import numpy as np
import psutil
import pytest
from sqlalchemy.pool import QueuePool

from fedrec.local.ports import ReservedPort
from fedrec.local.process import ServiceProcess
from fedrec_protocol import codec
from services.model_registry.api.context import Context
from services.model_registry.app import create_app
from tests.integration.registry.support import ADMIN_KEY, PEPPER, KeyServer, served, settings_for, weights

HEADERS = {"Authorization": f"Bearer {ADMIN_KEY}"}
MIB = 1024 * 1024
PLACES = 2


@contextmanager
def registry(
    database_url: str, key_server: KeyServer, *, stall_timeout_seconds: float
) -> Iterator[tuple[str, Context]]:
    settings = settings_for(
        database_url,
        key_server,
        stall_timeout_seconds=stall_timeout_seconds,
        maximum_downloads=PLACES,
        maximum_weights_bytes=64 * MIB,
    )
    app = create_app(settings)
    with served(app) as url:
        yield url, app.state.context


@pytest.fixture
def live(database_url: str, key_server: KeyServer) -> Iterator[tuple[str, Context]]:
    with registry(database_url, key_server, stall_timeout_seconds=600) as live:
        yield live


def publish(url: str, body: bytes) -> str:
    """Make weights the version of a new model; returns their address."""
    with httpx.Client(base_url=url, headers=HEADERS, timeout=60, trust_env=False) as client:
        digest = hashlib.sha256(body).hexdigest()
        sent = client.put(f"/v1/weights/{digest}", content=body, headers={"Content-Type": codec.MEDIA_TYPE})
        sent.raise_for_status()
        client.post("/v1/models", json={"name": "films"}).raise_for_status()
        version = client.post("/v1/models/films/versions", json={"digest": digest})
        return f"{url}/v1/versions/{version.raise_for_status().json()['version_id']}/weights"


def open_download(address: str) -> socket.socket:
    """Ask for a file and read nothing, with little room for it on the way."""
    parts = urlsplit(address)
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    peer.connect((parts.hostname, parts.port))
    peer.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ADMIN_KEY}\r\n\r\n".encode())
    return peer


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_held_without_connection(context: Context) -> bool:
    """Whether a download stands still, and no database connection with it."""
    pool = context.db.engine.pool
    assert isinstance(pool, QueuePool)
    return context.places.free < PLACES and pool.checkedout() == 0


def read_all(peer: socket.socket) -> int:
    received = 0
    while data := peer.recv(MIB):
        received += len(data)
    return received


def test_a_download_that_stands_still_is_given_up(database_url: str, key_server: KeyServer) -> None:
    with registry(database_url, key_server, stall_timeout_seconds=1.5) as (url, context):
        address = publish(url, weights(1, elements=8 * MIB))
        with open_download(address) as stalled:
            wait_until(lambda: is_held_without_connection(context))
            wait_until(lambda: context.places.free == PLACES)
            assert read_all(stalled) < 32 * MIB
        assert len(httpx.get(address, headers=HEADERS, timeout=60, trust_env=False).content) > 32 * MIB


def test_more_readers_than_places_are_told_to_come_back(live: tuple[str, Context]) -> None:
    url, context = live
    address = publish(url, weights(1, elements=8 * MIB))
    with open_download(address), open_download(address):
        wait_until(lambda: context.places.free == 0)
        answer = httpx.get(address, headers=HEADERS, timeout=60, trust_env=False)
        assert (answer.status_code, answer.json()["slug"]) == (503, "overloaded")
        assert int(answer.headers["retry-after"]) >= 1


def test_a_reader_that_leaves_frees_its_place(live: tuple[str, Context]) -> None:
    url, context = live
    with open_download(publish(url, weights(1, elements=8 * MIB))):
        wait_until(lambda: context.places.free < PLACES)
    wait_until(lambda: context.places.free == PLACES)


def test_an_upload_that_stands_still_times_out(database_url: str, key_server: KeyServer) -> None:
    body = weights(1)
    head = (
        f"PUT /v1/weights/{hashlib.sha256(body).hexdigest()} HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {ADMIN_KEY}\r\nContent-Type: {codec.MEDIA_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with served(create_app(settings_for(database_url, key_server, body_timeout_seconds=0.5))) as url:
        peer = socket.create_connection(("127.0.0.1", urlsplit(url).port or 0))
        peer.sendall(head.encode() + body[:10])
        answer = HTTPResponse(peer)
        answer.begin()
        assert answer.status == 408
        assert b"body-timeout" in answer.read()
        peer.close()


@pytest.fixture
def process(database_url: str, tmp_path: Path) -> Iterator[ServiceProcess]:
    """A registry as a process of its own, as in production."""
    port = ReservedPort()
    environment = {
        "FEDREC_REGISTRY_DATABASE_URL": database_url,
        "FEDREC_REGISTRY_KEY_PEPPER": PEPPER,
        "FEDREC_REGISTRY_JWKS_URL": "http://127.0.0.1:9/",
        "FEDREC_REGISTRY_BOOTSTRAP_ADMIN_KEY": ADMIN_KEY,
        "FEDREC_REGISTRY_CACHE_BYTES": str(4 * MIB),
        "FEDREC_REGISTRY_SPOOL_DIRECTORY": str(tmp_path),
    }
    module = ["services.kit.serving", "services.model_registry.app:create_app", "--port", str(port.number)]
    registry = ServiceProcess("registry", module, environment, log=tmp_path / "log", url=port.url)
    registry.start()
    try:
        registry.wait_until_ready()
        yield registry
    finally:
        registry.stop()
        port.release()


def test_memory_grows_neither_with_the_file_nor_with_its_readers(process: ServiceProcess) -> None:
    url, registry = str(process.url), psutil.Process(process.pid)
    values = np.random.default_rng(1).standard_normal(24 * MIB, dtype=np.float32)
    body = codec.encode({"items": values.reshape(-1, 64)})
    expected = hashlib.sha256(body).hexdigest()
    warm = publish_and_download(url, weights(2), readers=8)
    assert warm == {hashlib.sha256(weights(2)).hexdigest()}
    before = registry.memory_info().rss
    assert publish_and_download(url, body, readers=8) == {expected}
    grown = registry.memory_info().rss - before
    assert grown < len(body) / 3, f"{grown / MIB:.0f} MiB more for a file of {len(body) / MIB:.0f} MiB"


def publish_and_download(url: str, body: bytes, *, readers: int) -> set[str]:
    digest = hashlib.sha256(body).hexdigest()
    with httpx.Client(base_url=url, headers=HEADERS, timeout=60, trust_env=False) as client:
        client.post("/v1/models", json={"name": "films"})
        sent = client.put(f"/v1/weights/{digest}", content=body, headers={"Content-Type": codec.MEDIA_TYPE})
        sent.raise_for_status()
        version = client.post("/v1/models/films/versions", json={"digest": digest}).raise_for_status().json()

        def download(_: int) -> str:
            hashed = hashlib.sha256()
            with client.stream("GET", f"/v1/versions/{version['version_id']}/weights") as answer:
                for chunk in answer.iter_raw():
                    hashed.update(chunk)
            return hashed.hexdigest()

        with ThreadPoolExecutor(readers) as pool:
            return set(pool.map(download, range(readers)))
