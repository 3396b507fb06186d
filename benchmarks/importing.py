"""How long an app waits for `import fedrec_sdk`, and for `Participant` with all that it imports in turn."""

import statistics
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.harness.measurement import AtMost, Measurement

_REPEATS = 7
_PROGRAM = """
import sys, time
started = time.perf_counter()
{statement}
print(time.perf_counter() - started, "torch" in sys.modules)
"""


def measure() -> Iterator[Measurement]:
    """Fresh interpreters, after one that reads the files from disk and writes the bytecode."""
    for statement, mark in (("import fedrec_sdk", AtMost(0.3)), ("from fedrec_sdk import Participant", None)):
        _import(statement)
        seconds = [_import(statement) for _ in range(_REPEATS)]
        yield Measurement(statement, statistics.median(seconds), "s", mark, f"median of {_REPEATS}")


def _import(statement: str) -> float:
    program = _PROGRAM.format(statement=statement)
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    seconds, has_torch = answer.stdout.split()
    if has_torch == "True":
        raise RuntimeError("importing fedrec_sdk imports torch, which takes seconds")
    return float(seconds)
