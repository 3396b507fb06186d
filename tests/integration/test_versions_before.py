"""The code of before a revision, out of the repository's history: it serves through the upgrade, and is replaced.

The newest revision by default, and all of them with `FEDREC_HISTORY=all`. Where there is no history, as in a shallow
clone, there is nothing to be shown.
"""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from fedrec.local.migrate import MIGRATIONS, configuration, upgrade
from fedrec.local.stack import local_stack
from tests.integration.aggregator.crowd import CROWD, SteadyLoad, assert_nothing_lost
from tests.integration.aggregator.fleet import Fleet, until
from tests.integration.aggregator.powers import powers_task
from tests.integration.at_version import FILE_VARIABLE

REPOSITORY = MIGRATIONS.parent
REVISIONS = [
    script for script in ScriptDirectory.from_config(configuration("")).walk_revisions() if script.down_revision
]
CHOSEN = REVISIONS if os.environ.get("FEDREC_HISTORY") == "all" else REVISIONS[:1]


@pytest.mark.slow
@pytest.mark.parametrize("revision", [script.revision for script in CHOSEN])
def test_the_version_before_a_revision_serves_during_the_upgrade_and_is_replaced_under_load(
    revision: str, tmp_path: Path
) -> None:
    [script] = [script for script in REVISIONS if script.revision == revision]
    version = tmp_path / "version"
    version.write_text(str(code_before(Path(script.path), tmp_path / "before")))
    environment = {FILE_VARIABLE: str(version), "PYTHONPATH": str(REPOSITORY)}
    with local_stack(
        aggregators=2,
        workers=1,
        environment=environment,
        runner=("tests.integration.at_version",),
        fsync=False,
        revision=str(script.down_revision),
    ) as stack:
        deployment = Fleet(stack)
        task = deployment.task(**powers_task(goal=CROWD, deadline_seconds=600))
        devices = task.devices(CROWD)
        load = SteadyLoad(devices)
        with load.running():
            require_rounds(load)
            upgrade(stack.database_url)
            require_rounds(load)
            version.write_text("")
            for process in stack.processes.values():
                process.restart()
            require_rounds(load)
        assert_nothing_lost(task, devices, load)
        deployment.close()


def require_rounds(load: SteadyLoad) -> None:
    """Rounds go on: two more begin."""
    seen = len(load.acknowledged)
    until(lambda: len(load.acknowledged) >= seen + 2 or load.failures)


def code_before(revision: Path, folder: Path) -> Path:
    """The services and what they import, as they were before a revision was made."""
    path = str(revision.relative_to(REPOSITORY))
    made = git("log", "--diff-filter=A", "--format=%H", "--", path).decode().split()
    before = git("archive", f"{made[-1]}^", "services", "clients") if made else b""
    if not before:
        pytest.skip("the repository's history does not go back to before this revision")
    with tarfile.open(fileobj=io.BytesIO(before)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def git(*arguments: str) -> bytes:
    """What git says; nothing where there is no git, or no repository."""
    try:
        answer = subprocess.run(["git", "-C", str(REPOSITORY), *arguments], capture_output=True, check=False)
    except FileNotFoundError:
        return b""
    return answer.stdout
