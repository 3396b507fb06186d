"""Clocks of processes that somebody else moves: `python -m tests.soak.clocks MODULE ARGUMENTS`.

Services read the machine's clock. This runs one unchanged, in a process where that clock is off: by what a file says,
the same for all, and by up to a second more or less, different for each process.
"""

from __future__ import annotations

import os
import runpy
import sys
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

from services.kit.clock import SystemClock

FILE_VARIABLE = "SOAK_CLOCK"
NAME_VARIABLE = "PGAPPNAME"
LARGEST_SKEW_SECONDS = 1.0


class SharedClock:
    """A clock that all processes go by; its file says how many seconds it is ahead of the machine's."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._ahead = 0.0
        self.jump(0.0)

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._ahead)

    def jump(self, seconds: float) -> None:
        """Move every clock, forward or back."""
        self._ahead += seconds
        new = self._file.with_suffix(".new")
        new.write_text(repr(self._ahead))
        new.rename(self._file)


def skew_seconds(name: str) -> float:
    """How far the clock of this process is from the others'."""
    return LARGEST_SKEW_SECONDS * (zlib.crc32(name.encode()) % 2001 - 1000) / 1000


def main() -> None:
    file, skew = Path(os.environ[FILE_VARIABLE]), skew_seconds(os.environ.get(NAME_VARIABLE, ""))

    def now(self: SystemClock) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=skew + float(file.read_text()))

    SystemClock.now = now  # type: ignore[method-assign] # in a process of the soak only
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
