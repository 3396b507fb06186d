"""Where the demonstration's devices keep their stores."""

import os
import shutil
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 - a private directory is made inside it
ROOM_BYTES = 4 << 30


def memory_folder(memory: Path = MEMORY, room_bytes: int = ROOM_BYTES) -> Path | None:
    """A file system in memory, where it has room; else None, for the usual place.

    Every store waits for the disk before it answers, as it must on a phone. Hundreds of phones have hundreds of
    disks; here they would wait for one.
    """
    if not memory.is_dir() or not os.access(memory, os.W_OK):
        return None
    return memory if shutil.disk_usage(memory).free >= room_bytes else None
