"""Processes that end by themselves are started again, loudly, and not for ever."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fedrec.local.process import ProcessFailed

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
MOST_ENDS = 5
"""A process that ends so often within `WITHIN_SECONDS` will not get better by itself."""
WITHIN_SECONDS = 600.0


class Part(Protocol):
    """A process of a deployment: a service, a worker, Postgres."""

    name: str

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""

    def last_words(self) -> str:
        """How it ended, and the end of its log."""

    def start_again(self) -> None:
        """Start it where it ran."""


@dataclass
class _Record:
    """How often one process ended lately."""

    ends: deque[float] = field(default_factory=deque)
    start_at: float | None = None
    """When to start it again; None while it runs."""


class Supervisor:
    """Looks after the processes of a local deployment.

    Args:
        processes: by name, as they are now; services that come and go are looked after as well.
        say: is told, in words, what ended and what is done about it.
        monotonic: seconds of a clock that only goes forward.
    """

    def __init__(
        self,
        processes: Mapping[str, Part],
        say: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._processes = processes
        self._say = say
        self._monotonic = monotonic
        self._records: dict[str, _Record] = {}

    def look(self) -> None:
        """Start again what has ended, once its pause is over; call this often.

        Raises:
            ProcessFailed: a process ended too often; the message holds its last words.
        """
        for process in self._processes.values():
            record = self._records.setdefault(process.name, _Record())
            if record.start_at is not None:
                self._start_if_due(process, record)
            elif not process.is_running:
                self._note_end(process, record)

    def _note_end(self, process: Part, record: _Record) -> None:
        now = self._monotonic()
        record.ends.append(now)
        while record.ends[0] < now - WITHIN_SECONDS:
            record.ends.popleft()
        words = process.last_words()
        if len(record.ends) >= MOST_ENDS:
            raise ProcessFailed(f"{len(record.ends)} times within {WITHIN_SECONDS / 60:.0f} minutes: {words}")
        pause = min(FIRST_PAUSE_SECONDS * 2 ** (len(record.ends) - 1), LONGEST_PAUSE_SECONDS)
        record.start_at = now + pause
        self._say(f"{words}\n{process.name} is started again in {pause:.0f} s")

    def _start_if_due(self, process: Part, record: _Record) -> None:
        if record.start_at is not None and self._monotonic() >= record.start_at:
            record.start_at = None
            process.start_again()
            self._say(f"{process.name} is started again")
