"""Parameters that routes share, described once."""

from typing import Annotated

from fastapi import Path, Query

from fedrec_protocol.manifest import Name
from fedrec_protocol.registry_messages import Digest, Id

ModelName = Annotated[Name, Path(description="Name of the model", examples=["films"])]
AliasName = Annotated[Name, Path(description="Name of the alias", examples=["production"])]
VersionId = Annotated[Id, Path(description="Opaque id of the version", examples=["ver_5gxw2tq4fpj7ls7zqhzwlrcdmu"])]
KeyId = Annotated[Id, Path(description="Opaque id of the key", examples=["okey_5gxw2tq4fpj7ls7zqhzwlrcdmu"])]
WeightsDigest = Annotated[Digest, Path(description="SHA-256 of the file, in hexadecimal")]
Limit = Annotated[int, Query(ge=1, le=500, description="Entries at most")]
Before = Annotated[int | None, Query(ge=0, le=2**31 - 1, description="Only entries with smaller numbers")]
