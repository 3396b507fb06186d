"""A folder of data that one deployment uses at a time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from fedrec.local.data_lock import DataInUse, DataLock


def test_a_folder_that_is_in_use_is_refused_by_name_and_free_when_it_is_released(tmp_path: Path) -> None:
    lock = DataLock(tmp_path)
    with pytest.raises(DataInUse, match=f"{tmp_path} is in use"):
        DataLock(tmp_path, patience_seconds=0.0)
    lock.release()
    DataLock(tmp_path, patience_seconds=0.0).release()


def test_a_process_that_inherited_the_lock_holds_it_until_it_is_killed(tmp_path: Path) -> None:
    lock = DataLock(tmp_path)
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(sleeper, pass_fds=(lock.descriptor,)) as heir:
        lock.release()
        with pytest.raises(DataInUse):
            DataLock(tmp_path, patience_seconds=0.0)
        heir.kill()
        DataLock(tmp_path).release()
