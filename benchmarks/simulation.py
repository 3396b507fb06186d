"""Simulated participants per second on one core, against a plain loop and against numpy vectorised by hand."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.harness.measurement import AtLeast, AtMost, Measurement


def measure() -> Iterator[Measurement]:
    """One process with one thread; all rates are medians over rounds that take turns."""
    found = _run()
    rate = found["simulated"]
    yield Measurement("943 people, 1,682 items x 32", rate, "people/s", AtLeast(5000), "per second of CPU, one core")
    yield Measurement(
        "simulator ÷ plain loop", rate / found["plain"], "", None, f"plain loop {found['plain']:.0f} people/s"
    )
    yield Measurement(
        "simulator ÷ stacked numpy", rate / found["stacked"], "", None, f"stacked {found['stacked']:.0f} people/s"
    )
    yield Measurement(
        "the same, HR and NDCG measured", found["simulated_and_measured"], "people/s", None, "full ranking, 1,682 items"
    )
    yield Measurement("the same, not vectorised", found["one_by_one"], "people/s", None, "as devices train: same bits")
    yield Measurement("peak memory, 943 people a round", found["peak_mb"], "MB", None, "interpreter and libraries too")
    grown = found["peak_mb_of_ten_times"] - found["peak_mb"]
    remark = "their histories and private vectors"
    yield Measurement("more with 9,430 people a round", grown, "MB", AtMost(50), remark)


def _run() -> dict[str, float]:
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.harness.simulated_rounds"],
        env=os.environ | one_thread,
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(answer.stdout)
    return found
