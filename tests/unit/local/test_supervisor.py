"""What ends by itself is started again: after a pause that grows, and not for ever."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedrec.local.process import ProcessFailed, ServiceProcess
from fedrec.local.supervisor import Supervisor

ENDS = "import sys; print('no space left', flush=True); sys.exit(3)"


class Watched:
    """A process that ends at once whenever it is started, and a clock that a test moves."""

    def __init__(self, folder: Path) -> None:
        (folder / "ends.py").write_text(ENDS)
        self.now, self.said = 0.0, list[str]()
        self.process = ServiceProcess("api", ["ends"], {"PYTHONPATH": str(folder)}, log=folder / "logs" / "api.log")
        self.process.start()
        self.supervisor = Supervisor({"api": self.process}, self.said.append, lambda: self.now)

    def wait_for_its_end(self) -> None:
        while self.process.is_running:
            pass

    def end_and_come_back(self) -> float:
        """Let it end and come back; returns after how long."""
        self.wait_for_its_end()
        self.supervisor.look()
        before, known = self.now, len(self.said)
        while len(self.said) == known:
            self.now += 0.5
            self.supervisor.look()
        return self.now - before


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    yield watched
    watched.process.stop()


def test_what_ended_is_said_with_its_status_and_its_last_words(watched: Watched) -> None:
    watched.wait_for_its_end()
    watched.supervisor.look()
    [words] = watched.said
    assert words.startswith("api ended with status 3")
    assert "no space left" in words
    assert words.endswith("api is started again in 1 s")


def test_it_comes_back_after_pauses_that_grow_until_it_is_given_up(watched: Watched) -> None:
    assert [watched.end_and_come_back() for _ in range(4)] == [1.0, 2.0, 4.0, 8.0]
    watched.wait_for_its_end()
    with pytest.raises(ProcessFailed, match=r"(?s)^5 times within 10 minutes: api ended with status 3.*no space left"):
        watched.supervisor.look()


def test_ends_of_long_ago_are_forgotten(watched: Watched) -> None:
    for _ in range(8):
        assert watched.end_and_come_back() == 1.0
        watched.now += 601


def test_what_runs_is_left_alone(tmp_path: Path) -> None:
    said = list[str]()
    sleeper = ServiceProcess("worker", ["http.server", "0", "--bind", "127.0.0.1"], {}, log=tmp_path / "worker.log")
    sleeper.start()
    pid = sleeper.pid
    Supervisor({"worker": sleeper}, said.append).look()
    assert (sleeper.pid, said) == (pid, [])
    sleeper.stop()
