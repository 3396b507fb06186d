"""One deployment at a time uses a folder of data, and who crashed does not keep it from the next one."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path

from fedrec.local.errors import LocalFailure

PATIENCE_SECONDS = 10.0
"""Parts of a deployment that was killed take a few seconds to end."""


class DataInUse(LocalFailure):
    """Another deployment has the folder."""


class DataLock:
    """A lock on a folder, held until it is released and every process that inherited `descriptor` has ended.

    The kernel lets go of it when they die of anything at all, a power cut included: unlike a file with a process id
    it is never stale.
    """

    def __init__(self, directory: Path, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        """Take it; raises DataInUse when others have it, and still do after `patience_seconds`."""
        self._file = (directory / "lock").open("ab")
        deadline = time.monotonic() + patience_seconds
        while not self._is_taken():
            if time.monotonic() > deadline:
                self._file.close()
                raise DataInUse(f"{directory} is in use: stop the deployment that has it, or use another folder")
            time.sleep(0.05)

    @property
    def descriptor(self) -> int:
        """For processes that use the data and may outlive us."""
        return self._file.fileno()

    def _is_taken(self) -> bool:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        """Our share of it ends."""
        self._file.close()
