"""A whole deployment on this machine, as real processes."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import httpx
import psutil
import pytest

from fedrec.local.process import ProcessFailed
from fedrec.local.stack import LocalStack, local_stack
from tests.processes import command_line, runs


def answers(url: str, path: str = "/readyz") -> bool:
    try:
        return httpx.get(url + path, trust_env=False, timeout=60).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    with local_stack(fsync=False) as stack:
        yield stack


@pytest.fixture
def state() -> Iterator[Path]:
    """A directory that Postgres may enter under root, where it runs as another user."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        Path(path).chmod(0o755)
        yield Path(path) / "state"


def test_every_part_is_ready_and_the_documentation_answers(stack: LocalStack) -> None:
    assert list(stack.processes) == ["registry", "aggregator-0", "worker-0"]
    for url in (stack.aggregator_url, stack.registry_url):
        assert answers(url)
        assert answers(url, "/docs")


def test_the_aggregator_s_key_may_publish_in_the_registry_but_not_administrate(stack: LocalStack) -> None:
    headers = {"Authorization": f"Bearer {stack.secrets.registry_run_key}"}
    registry = httpx.Client(base_url=stack.registry_url, headers=headers, timeout=60, trust_env=False)
    with registry:
        assert registry.post("/v1/models", json={"name": "mine"}).status_code == 201
        assert registry.get("/v1/operator-keys").status_code == 403


def test_replicas_come_and_go(stack: LocalStack) -> None:
    api, worker = stack.add(aggregators=1, workers=1)
    assert api.url is not None
    assert answers(api.url)
    assert stack.aggregator_urls == [stack.aggregator_url, api.url]
    stack.remove(api.name)
    stack.remove(worker.name)
    assert not answers(api.url)
    assert answers(stack.aggregator_url)


def test_a_killed_registry_is_missed_and_comes_back_where_it_was(stack: LocalStack) -> None:
    registry = stack.processes["registry"]
    os.kill(registry.pid, signal.SIGKILL)
    while registry.is_running:
        time.sleep(0.01)
    with pytest.raises(ProcessFailed, match=r"^registry ended with status -9"):
        stack.require_running()
    registry.restart()
    assert answers(stack.registry_url)


def test_a_part_that_cannot_start_is_named_with_its_reason_and_nothing_is_left() -> None:
    before = set(psutil.Process().children(recursive=True))
    wrong = {"FEDREC_AGGREGATOR_LOG_LEVEL": "deafening"}
    reason = pytest.raises(
        ProcessFailed, match=r"(?s)^(aggregator|worker)-0 ended with status 1;.*FEDREC_AGGREGATOR_LOG_LEVEL"
    )
    with reason, local_stack(fsync=False, environment=wrong):
        pass
    left = set(psutil.Process().children(recursive=True)) - before
    assert not [process for process in left if "services." in command_line(process)]


@dataclass
class Serving:
    """`fedrec serve` on free ports."""

    process: subprocess.Popen[str]
    registry_url: str
    parts: list[psutil.Process]

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        self.process.communicate(timeout=240)
        return self.process.returncode


def serve(state: Path) -> Serving:
    arguments = ["serve", "--port", "0", "--registry-port", "0", "--state", str(state)]
    command = [sys.executable, "-c", "from fedrec.cli import main; main()", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = "".join(takewhile(lambda line: "Ctrl-C" not in line, process.stdout))
    registry = re.search(r"model registry +(http://127.0.0.1:\d+)/docs", said)
    assert registry, said
    return Serving(process, registry[1], psutil.Process(process.pid).children(recursive=True))


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_serve_leaves_no_process_behind_when_it_is_ended(number: signal.Signals, status: int, state: Path) -> None:
    serving = serve(state)
    assert len([part for part in serving.parts if "services." in command_line(part)]) == 3
    assert serving.end(number) == status
    _, left = psutil.wait_procs(serving.parts, timeout=120)
    assert not [part for part in left if part.is_running() and runs(part.pid)]


def test_serve_starts_a_killed_part_and_a_killed_postgres_again_and_says_so(state: Path) -> None:
    serving = serve(state)
    [registry] = [part for part in serving.parts if "model_registry" in command_line(part)]
    registry.kill()
    output = serving.process.stdout
    assert output is not None
    said = "".join(takewhile(lambda line: line != "registry is started again\n", output))
    assert said.startswith("registry ended with status -9")
    while not answers(serving.registry_url):
        time.sleep(0.05)
    children = psutil.Process(serving.process.pid).children()
    [postmaster] = [child for child in children if child.name() == "postgres"]
    postmaster.kill()
    said = "".join(takewhile(lambda line: line != "Postgres is started again\n", output))
    assert said.startswith("Postgres ended with status -9")
    while not answers(serving.registry_url):
        time.sleep(0.05)
    assert serving.end(signal.SIGINT) == 0


def test_after_ctrl_c_serve_keeps_its_data_and_keys_for_the_next_time(state: Path) -> None:
    answered = []
    for _ in range(2):
        serving = serve(state)
        key = json.loads((state / "secrets.json").read_text())["registry_admin_key"]
        headers = {"Authorization": f"Bearer {key}"}
        made = httpx.post(
            f"{serving.registry_url}/v1/models", json={"name": "m"}, headers=headers, timeout=60, trust_env=False
        )
        answered.append(made.status_code)
        command = f". {state / 'operator.env'} && {sys.executable} -m fedrec model list"
        listed = subprocess.run(["/bin/sh", "-c", command], check=True, capture_output=True, text=True)
        assert [line.split()[0] for line in listed.stdout.splitlines()] == ["NAME", "m"]
        assert serving.end(signal.SIGINT) == 0
        assert not [part for part in serving.parts if part.is_running() and runs(part.pid)]
    assert answered == [201, 409]
    assert (state / "operator.env").stat().st_mode & 0o777 == 0o600
