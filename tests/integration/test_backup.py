"""Backup and restore as docs/operations.md describes them, with the programs it names."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import httpx
import numpy as np

from fedrec.local.binaries import find_binaries, unprivileged_account
from fedrec.local.postgres import LocalPostgres
from fedrec.local.stack import LocalStack, local_stack
from fedrec.operator import Operator
from fedrec_protocol import codec
from fedrec_protocol.registry_messages import AliasView, VersionRequest
from services.aggregator.registry_client import RegistryClient

DUMP = ["--format=custom"]
RESTORE = ["--clean", "--if-exists", "--single-transaction"]
OPERATIONS = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def operator(stack: LocalStack) -> Operator:
    secrets = stack.secrets
    keys = {"aggregator_key": secrets.aggregator_admin_key, "registry_key": secrets.registry_admin_key}
    return Operator(stack.aggregator_url, stack.registry_url, **keys)


def connection(server: LocalPostgres) -> str:
    return server.url.replace("postgresql+psycopg", "postgresql")


def test_the_documented_commands_are_the_tested_ones() -> None:
    text = OPERATIONS.read_text()
    assert f"pg_dump --username=fedrec {' '.join(DUMP)} fedrec >" in text
    assert f"pg_restore --username=fedrec --dbname=fedrec {' '.join(RESTORE)} <" in text


def test_a_restored_deployment_serves_the_same_versions_to_the_same_keys(tmp_path: Path) -> None:
    programs, dump = find_binaries(unprivileged_account()), tmp_path / "fedrec.dump"
    weights = codec.encode({"items": np.arange(300_000, dtype=np.float32)})

    with LocalPostgres(fsync=False) as first:
        with local_stack(tmp_path, database_url=first.url, workers=0) as stack, operator(stack) as before:
            registry = RegistryClient(stack.registry_url, stack.secrets.registry_run_key, stack.registry_url)
            registry.ensure_model("films")
            version = registry.publish("films", weights, VersionRequest(digest=hashlib.sha256(weights).hexdigest()))
            registry.close()
            before.promote("films", "production", version.version_id)
        subprocess.run(
            [programs / "pg_dump", *DUMP, f"--file={dump}", f"--dbname={connection(first)}"],
            check=True,
        )

    with LocalPostgres(fsync=False) as second:
        subprocess.run([programs / "pg_restore", *RESTORE, f"--dbname={connection(second)}", dump], check=True)
        with local_stack(tmp_path, database_url=second.url, workers=0) as stack, operator(stack) as after:
            assert after.weights(version.version_id) == weights
            assert after.tasks() == []
            assert production(stack) == version.version_id


def production(stack: LocalStack) -> str:
    headers = {"Authorization": f"Bearer {stack.secrets.registry_admin_key}"}
    url = f"{stack.registry_url}/v1/models/films/aliases/production"
    return AliasView.model_validate(
        httpx.get(url, headers=headers, timeout=60, trust_env=False).json()
    ).version.version_id
