"""How long an app waits for `from fedrec_sdk import Participant`, with all that it imports in turn."""

import statistics
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.harness.measurement import AtMost, Measurement

_REPEATS = 7
_PROGRAM = """
import sys, time
started = time.perf_counter()
from fedrec_sdk import Participant
print(time.perf_counter() - started, "torch" in sys.modules)
"""


def measure() -> Iterator[Measurement]:
    """Fresh interpreters, after one that reads the files from disk and writes the bytecode."""
    _import()
    seconds = [_import() for _ in range(_REPEATS)]
    yield Measurement(
        "from fedrec_sdk import Participant", statistics.median(seconds), "s", AtMost(0.3), f"median of {_REPEATS}"
    )


def _import() -> float:
    answer = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    seconds, has_torch = answer.stdout.split()
    if has_torch == "True":
        raise RuntimeError("importing fedrec_sdk imports torch, which takes seconds")
    return float(seconds)
