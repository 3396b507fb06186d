"""Another version of a service: `python -m tests.integration.at_version MODULE ARGUMENTS`.

A file says in which folder that version's code is; an empty one means today's.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

FILE_VARIABLE = "VERSION_FILE"


def main() -> None:
    folder = Path(os.environ[FILE_VARIABLE]).read_text()
    if folder:
        sys.path[:0] = [folder, str(Path(folder) / "clients" / "sdk")]
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
