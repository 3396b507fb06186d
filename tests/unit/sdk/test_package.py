"""What importing and using the SDK costs an app, and what is nowhere in it."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fedrec_sdk
from tests.unit.sdk.conftest import StartTask
from tests.unit.sdk.popularity import ITEMS, Popularity, history_of

SDK = Path(fedrec_sdk.__file__).parent.parent
SOURCES = sorted(SDK.rglob("*.py"))


def run_python(script: str, *arguments: str) -> str:
    process = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True, timeout=280
    )
    return process.stdout


SLOW = {"torch", "scipy", "numba", "pandas", "safetensors", "httpx", "jwt"}


@pytest.mark.parametrize(
    ("statement", "slow"),
    [
        ("import fedrec_sdk", SLOW | {"numpy", "pydantic", "cryptography"}),
        # Most apps have loaded numpy and pydantic anyway; `./run bench --only importing` says how long it takes.
        ("from fedrec_sdk import Participant", SLOW),
    ],
)
def test_importing_the_sdk_imports_nothing_slow(statement: str, slow: set[str]) -> None:
    loaded = run_python(f"import sys; {statement}; print(*sys.modules)").split()
    assert not slow & set(loaded)


def test_neither_import_nor_recommending_brings_in_torch(start_task: StartTask, tmp_path: Path) -> None:
    script = """
import json, sys
from fedrec_sdk import History, Participant
from tests.unit.sdk.popularity import ITEMS, Popularity, history_of
with Participant(sys.argv[1], sys.argv[2], sys.argv[3], Popularity.of(ITEMS)) as participant:
    participant.record_many(history_of(0, 1, 2))
    participant.contribute()
    participant.recommend(3)
print(json.dumps([name for name in ("torch", "pandas", "httpx") if name in sys.modules]))
"""
    aggregator = start_task()
    loaded = json.loads(run_python(script, aggregator.url, aggregator.enrolment_key, str(tmp_path)))
    assert loaded == ["httpx"]


def test_recommending_from_the_store_does_not_even_bring_in_httpx(start_task: StartTask, tmp_path: Path) -> None:
    script = """
import json, sys
from fedrec_sdk import Participant
from tests.unit.sdk.popularity import ITEMS, Popularity
with Participant(sys.argv[1], sys.argv[2], sys.argv[3], Popularity.of(ITEMS)) as participant:
    participant.recommend(3)
print(json.dumps([name for name in ("torch", "httpx", "jwt") if name in sys.modules]))
"""
    aggregator = start_task()
    with fedrec_sdk.Participant(aggregator.url, aggregator.enrolment_key, tmp_path, Popularity.of(ITEMS)) as ada:
        ada.record_many(history_of(0, 1, 2))
        ada.contribute()
    assert json.loads(run_python(script, aggregator.url, aggregator.enrolment_key, str(tmp_path))) == []


@pytest.mark.parametrize("name", fedrec_sdk.__all__)
def test_every_public_name_can_be_imported(name: str) -> None:
    assert getattr(fedrec_sdk, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Partisipant"):
        _ = fedrec_sdk.Partisipant


def imported_modules(source: Path) -> set[str]:
    """Every module that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_nothing_is_pickled() -> None:
    forbidden = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
    assert not {source: names for source in SOURCES if (names := imported_modules(source) & forbidden)}
    assert not [source for source in SOURCES if re.search(r"torch\.(load|save)", source.read_text())]


def test_one_module_knows_httpx() -> None:
    assert [source.name for source in SOURCES if "httpx" in imported_modules(source)] == ["transport.py"]


def test_the_participants_server_is_never_imported() -> None:
    assert not [source for source in SOURCES for name in imported_modules(source) if name.split(".")[0] == "services"]
