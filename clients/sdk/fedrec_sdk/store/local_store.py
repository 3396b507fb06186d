"""The folder of one participant on one device."""

import os
from pathlib import Path
from typing import Self

from fedrec_sdk.store.database import StoreDatabase
from fedrec_sdk.store.interactions import Interactions
from fedrec_sdk.store.model_cache import ModelCache
from fedrec_sdk.store.outbox import Outbox
from fedrec_sdk.store.participations import Participations
from fedrec_sdk.store.secure_rounds import SecureRounds
from fedrec_sdk.store.values import Values
from fedrec_sdk.store.versions import KnownVersions


class LocalStore:
    """Everything that a participant keeps: one SQLite file and the downloaded models.

    Making one opens nothing: the database is opened on first use, and again after `close`. While it is
    open no other process can use it. All methods may be called from any thread.

    Args:
        folder: Where to keep it; made if need be, readable by this user only.
        models: Where to keep downloaded models, when several stores share them; by default in the folder.
    """

    def __init__(self, folder: str | os.PathLike[str], *, models: ModelCache | None = None) -> None:
        self.folder = Path(folder)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._database = StoreDatabase(self.folder / "participant.sqlite")
        self.values = Values(self._database)
        self.interactions = Interactions(self._database)
        self.outbox = Outbox(self._database)
        self.secure_rounds = SecureRounds(self._database)
        self.participations = Participations(self._database)
        self.versions = KnownVersions(self._database)
        self.models = models if models is not None else ModelCache(self.folder / "models")

    def close(self) -> None:
        """Let another process use the store."""
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
