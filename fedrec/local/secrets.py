"""The secrets of a local stack: random, in memory or in one private file."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, repr=False)
class Secrets:
    """What the services of one deployment are started with."""

    deployment_key: str
    """Wraps round keys and derives the signing key of access tokens; 32 bytes as base64url."""
    registry_pepper: str
    """The registry's operator keys are hashed with it; 32 bytes as base64url."""
    aggregator_admin_key: str
    """First operator key of the aggregator."""
    registry_admin_key: str
    """First operator key of the registry."""

    @classmethod
    def generate(cls) -> Self:
        """Fresh random secrets."""
        return cls(
            deployment_key=secrets.token_urlsafe(32),
            registry_pepper=secrets.token_urlsafe(32),
            aggregator_admin_key=f"fo_{secrets.token_urlsafe(32)}",
            registry_admin_key=f"fo_{secrets.token_urlsafe(32)}",
        )

    @classmethod
    def kept_in(cls, directory: Path) -> Self:
        """The secrets in `directory`, made there when they are missing."""
        made = json.dumps(asdict(cls.generate()), indent=2)
        return cls(**json.loads(kept_secret(directory / "secrets.json", lambda: made)))


def kept_secret(path: Path, make: Callable[[], str]) -> str:
    """What the file `path` holds; when it is missing, what `make` returns is kept there, for this user only."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        content = make()
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(content)
    return path.read_text()
