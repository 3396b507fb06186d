"""How long an app waits for `import fedrec_sdk`."""

import statistics
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.harness.measurement import AtMost, Measurement

_REPEATS = 7
_PROGRAM = """
import sys, time
started = time.perf_counter()
import fedrec_sdk
print(time.perf_counter() - started, "torch" in sys.modules)
"""


def measure() -> Iterator[Measurement]:
    """Fresh interpreters, after one that reads the files from disk and writes the bytecode."""
    _import()
    seconds = [_import() for _ in range(_REPEATS)]
    yield Measurement("import fedrec_sdk", statistics.median(seconds), "s", AtMost(0.3), f"median of {_REPEATS}")


def _import() -> float:
    answer = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    seconds, has_torch = answer.stdout.split()
    if has_torch == "True":
        raise RuntimeError("importing fedrec_sdk imports torch, which takes seconds")
    return float(seconds)
