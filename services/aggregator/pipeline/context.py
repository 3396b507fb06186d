"""What every step of the pipeline works with."""

from dataclasses import dataclass
from datetime import datetime

from services.aggregator.registry_client import RegistryClient
from services.kit.clock import Clock
from services.kit.db import Database
from services.kit.objects import ObjectHome


@dataclass(frozen=True)
class Context:
    """The aggregator's stores, keys and clock."""

    db: Database
    home: ObjectHome
    registry: RegistryClient
    clock: Clock
    deployment_keys: tuple[bytes, ...]
    """The first wraps; all of them unwrap."""

    def now(self) -> datetime:
        """The time in UTC."""
        return self.clock.now()
