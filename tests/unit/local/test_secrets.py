"""The secrets of a local deployment."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from fedrec.local.secrets import Secrets, SecretsUnreadable


def test_secrets_are_32_random_bytes_and_operator_keys_look_like_them() -> None:
    secrets = Secrets.generate()
    assert len(base64.urlsafe_b64decode(secrets.deployment_key + "=")) == 32
    assert len(base64.urlsafe_b64decode(secrets.registry_pepper + "=")) == 32
    assert re.fullmatch(r"fo_[A-Za-z0-9_-]{43}", secrets.aggregator_admin_key)
    assert re.fullmatch(r"fo_[A-Za-z0-9_-]{43}", secrets.registry_admin_key)
    assert secrets != Secrets.generate()


def test_kept_secrets_are_the_same_next_time_and_private(tmp_path: Path) -> None:
    first = Secrets.kept_in(tmp_path / "state")
    assert Secrets.kept_in(tmp_path / "state") == first
    assert (tmp_path / "state" / "secrets.json").stat().st_mode & 0o777 == 0o600


def test_nothing_is_kept_of_secrets_that_do_not_fit_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", _disk_is_full)
        with pytest.raises(OSError, match="No space"):
            Secrets.kept_in(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert Secrets.kept_in(tmp_path) == Secrets.kept_in(tmp_path)


@pytest.mark.parametrize("written", ["", "{", "[]", '{"deployment_key": "x"}'])
def test_a_damaged_file_of_secrets_is_named_and_left_as_it_is(tmp_path: Path, written: str) -> None:
    path = tmp_path / "secrets.json"
    path.write_text(written)
    with pytest.raises(SecretsUnreadable, match=re.escape(str(path))):
        Secrets.kept_in(tmp_path)
    assert path.read_text() == written


def _disk_is_full(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_secrets_do_not_show_when_they_are_printed() -> None:
    secrets = Secrets.generate()
    assert secrets.deployment_key not in repr(secrets)
