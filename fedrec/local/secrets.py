"""The secrets of a local stack: random, in memory or in one private file."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self


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
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                json.dump(asdict(cls.generate()), file, indent=2)
        return cls(**json.loads(path.read_text()))
