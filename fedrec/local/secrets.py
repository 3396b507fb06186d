"""The secrets of a local stack: random, in memory or in one private file."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from fedrec.local.errors import LocalFailure


class SecretsUnreadable(LocalFailure):
    """The file of secrets is not what was written; the message says what to do."""


@dataclass(frozen=True, repr=False)
class Secrets:
    """What the services of one deployment are started with."""

    deployment_key: str
    """Wraps round keys and derives the signing key of access tokens; 32 bytes as base64url."""
    aggregator_pepper: str
    registry_pepper: str
    """The registry's operator keys are hashed with it; 32 bytes as base64url."""
    aggregator_admin_key: str
    """First operator key of the aggregator."""
    registry_admin_key: str
    """First operator key of the registry."""
    registry_run_key: str
    """The aggregator's own key in the registry; it may publish, not administrate."""

    @classmethod
    def generate(cls) -> Self:
        """Fresh random secrets."""
        return cls(
            deployment_key=secrets.token_urlsafe(32),
            aggregator_pepper=secrets.token_urlsafe(32),
            registry_pepper=secrets.token_urlsafe(32),
            aggregator_admin_key=f"fo_{secrets.token_urlsafe(32)}",
            registry_admin_key=f"fo_{secrets.token_urlsafe(32)}",
            registry_run_key=f"fo_{secrets.token_urlsafe(32)}",
        )

    @classmethod
    def kept_in(cls, directory: Path) -> Self:
        """The secrets in `directory`; when it has none, fresh ones are kept there, for this user only."""
        path = directory / "secrets.json"
        if not path.exists():
            directory.mkdir(parents=True, exist_ok=True)
            cls.generate()._keep(path)
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            # Fresh ones would be worse: they open nothing that was stored with those that are lost.
            raise SecretsUnreadable(
                f"{path} does not hold a deployment's secrets: put back a copy of it, or start with another folder"
            ) from error

    def _keep(self, path: Path) -> None:
        """Write them to a file of their own that takes its name when they are on the disk."""
        # Where two do so at once the first wins: both read what it wrote.
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".secrets-", encoding="utf-8") as file:
            json.dump(asdict(self), file, indent=2)
            file.flush()
            os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(file.name, path)
