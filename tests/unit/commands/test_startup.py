"""What every command waits for before it begins."""

import subprocess
import sys


def test_the_command_line_loads_nothing_that_only_some_commands_need() -> None:
    program = "import sys, fedrec.cli; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert {"alembic", "dp_accounting", "numba", "scipy", "simulation", "sqlalchemy", "torch"} & set(loaded) == set()
