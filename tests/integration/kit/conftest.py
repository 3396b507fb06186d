"""The three homes of objects, each over a database of its own."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import MetaData, text

from services.kit.db import Database
from services.kit.objects import ObjectHome, ObjectTables, object_tables, open_home

SCHEMA = "shelf"


@pytest.fixture
def db(empty_database_url: str) -> Iterator[Database]:
    database = Database(empty_database_url)
    yield database
    database.dispose()


@pytest.fixture
def tables(db: Database) -> ObjectTables:
    metadata = MetaData()
    tables = object_tables(metadata, SCHEMA)
    db.run("schema", lambda tx: tx.execute(text(f"CREATE SCHEMA {SCHEMA}")))
    db.run("tables", metadata.create_all)
    return tables


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """An S3-compatible server: the one that FEDREC_S3_ENDPOINT names, or moto on loopback."""
    given = os.environ.get("FEDREC_S3_ENDPOINT")
    if given:
        yield given
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # A process of its own: what it holds in memory is not ours.
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_answering(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


def wait_until_answering(port: int) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    raise TimeoutError("the S3 server did not start")


@pytest.fixture(params=["postgres", "folder", "s3"])
def home(
    request: pytest.FixtureRequest, tables: ObjectTables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ObjectHome:
    if request.param == "folder":
        return open_home(f"folder:{tmp_path / 'objects'}", tables)
    if request.param == "s3":
        endpoint = request.getfixturevalue("s3_endpoint")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, os.environ.get(name, "testing"))
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("FEDREC_S3_ENDPOINT", endpoint)
        httpx.put(f"{endpoint}/shelf").raise_for_status()
        return open_home(f"s3://shelf/{tmp_path.name}", tables)
    return open_home("postgres", tables)
