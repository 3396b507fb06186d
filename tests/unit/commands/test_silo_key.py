"""`fedrec privacy silo-key`, as a silo types it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedrec.cli import app
from tests.unit.aggregator.manifests import manifest

COMMAND = ["privacy", "silo-key"]


@pytest.mark.parametrize("scheme", ["ckks", "bfv"])
def test_it_prints_what_the_manifest_says_of_the_key(tmp_path: Path, scheme: str) -> None:
    pytest.importorskip("tenseal", reason="homomorphic encryption needs pip install 'fedrec-sdk[ckks]'")
    path = tmp_path / "silo.key"
    result = CliRunner().invoke(app, [*COMMAND, str(path), "--scheme", scheme])
    assert result.exit_code == 0, result.output
    said = json.loads(result.output)
    task = manifest(rounds={"aggregation_goal": 3, "minimum_reports": 3}, **said)
    assert task.homomorphic_encryption is not None
    assert task.homomorphic_encryption.scheme == scheme
    before = path.read_bytes()
    again = CliRunner().invoke(app, [*COMMAND, str(path)])
    assert again.exit_code == 2
    assert path.read_bytes() == before


def test_without_tenseal_it_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tenseal.sealapi", None)
    result = CliRunner().invoke(app, [*COMMAND, str(tmp_path / "silo.key")])
    assert result.exit_code == 1
    assert "pip install 'fedrec-sdk[ckks]'" in result.output
