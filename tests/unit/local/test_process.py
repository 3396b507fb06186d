"""Services as child processes; Python's own file server stands for a service whose /readyz is a file."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from fedrec.local.ports import ReservedPort
from fedrec.local.process import ProcessFailed, ServiceProcess
from tests.processes import runs

SERVES_AND_WAITS = """
import sys, time
from pathlib import Path
from fedrec.local.process import ServiceProcess
process = ServiceProcess("sleeper", ["timeit", "-n1", "-r1", "import time; time.sleep(600)"], {}, log=Path(sys.argv[1]))
process.start()
print(process.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def port() -> Iterator[ReservedPort]:
    port = ReservedPort()
    yield port
    port.release()


@pytest.fixture
def service(port: ReservedPort, tmp_path: Path) -> Iterator[ServiceProcess]:
    (tmp_path / "readyz").write_text("ok")
    module = ["http.server", str(port.number), "--bind", "127.0.0.1", "--directory", str(tmp_path)]
    service = ServiceProcess("files", module, {}, log=tmp_path / "files.log", url=port.url)
    yield service
    service.stop()


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", trust_env=False, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_a_reserved_port_refuses_until_a_server_listens_on_it(service: ServiceProcess, port: ReservedPort) -> None:
    with pytest.raises(httpx.ConnectError):
        httpx.get(port.url, trust_env=False)
    service.start()
    service.wait_until_ready()
    assert answers(port.url)


def test_a_killed_service_comes_back_on_the_same_port(service: ServiceProcess, port: ReservedPort) -> None:
    service.start()
    service.wait_until_ready()
    service.kill()
    assert not service.is_running
    assert not answers(port.url)
    service.restart()
    assert answers(port.url)


def test_a_suspended_service_answers_again_when_it_is_resumed(service: ServiceProcess, port: ReservedPort) -> None:
    service.start()
    service.wait_until_ready()
    service.suspend()
    assert service.is_running
    assert not answers(port.url)
    service.resume()
    service.wait_until_ready()


def test_suspending_a_service_waits_until_it_does_nothing_any_more(service: ServiceProcess) -> None:
    service.start()
    service.wait_until_ready()
    process = psutil.Process(service.pid)
    for _ in range(20):
        service.suspend()
        assert process.status() == psutil.STATUS_STOPPED
        service.resume()


def test_a_suspended_service_can_be_stopped(service: ServiceProcess) -> None:
    service.start()
    service.wait_until_ready()
    service.suspend()
    service.ask_to_stop()
    while service.is_running:
        time.sleep(0.01)
    assert service.last_words().startswith("files ended with status -15")


def test_a_service_that_ends_at_once_is_reported_with_its_last_words(tmp_path: Path, port: ReservedPort) -> None:
    broken = ServiceProcess("broken", ["http.server", "no-port"], {}, log=tmp_path / "log", url=port.url)
    broken.start()
    with pytest.raises(ProcessFailed, match=r"(?s)^broken ended with status 2;.*invalid int value: 'no-port'"):
        broken.wait_until_ready()


def test_a_service_that_never_gets_ready_is_reported(service: ServiceProcess, tmp_path: Path) -> None:
    (tmp_path / "readyz").unlink()
    service.start()
    with pytest.raises(ProcessFailed, match="files was not ready after 1 s"):
        service.wait_until_ready(seconds=1)


def test_settings_of_another_deployment_do_not_leak_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, port: ReservedPort
) -> None:
    monkeypatch.setenv("FEDREC_AGGREGATOR_DATABASE_URL", "postgresql://elsewhere")
    prints = ["timeit", "-n1", "-r1", "import os; print([name for name in os.environ if name.startswith('FEDREC_')])"]
    process = ServiceProcess("printer", prints, {"FEDREC_OURS": "1"}, log=tmp_path / "log", url=port.url)
    process.start()
    with pytest.raises(ProcessFailed, match="ended with status 0"):
        process.wait_until_ready()
    assert "['FEDREC_OURS']" in process.log_tail()


def test_a_service_ends_with_its_owner_even_when_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVES_AND_WAITS, str(tmp_path / "log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        assert runs(pid)
        owner.kill()
    deadline = time.monotonic() + 120
    while runs(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)
