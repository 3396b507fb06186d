"""The three homes of objects, each over a database of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import MetaData, text

from services.kit.db import Database
from services.kit.objects import ObjectHome, ObjectTables, object_tables, open_home
from tests.integration.kit.s3 import moto_server

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
    with moto_server() as port:
        yield f"http://127.0.0.1:{port}"


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
        httpx.put(f"{endpoint}/shelf", timeout=60, trust_env=False).raise_for_status()
        return open_home(f"s3://shelf/{tmp_path.name}", tables)
    return open_home("postgres", tables)
