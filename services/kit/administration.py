"""Routes by which administrators manage operator keys and read the audit log, the same in both services."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol

from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy import Connection

from fedrec_protocol.operator_messages import AuditEntry, OperatorKeyCreated, OperatorKeyRequest, OperatorKeyView
from fedrec_protocol.registry_messages import Id
from services.kit.audit import AuditLog
from services.kit.db import Database
from services.kit.operator_keys import OperatorKeys
from services.kit.problems import documented

KeyId = Annotated[Id, Path(description="Opaque id of the key", examples=["okey_5gxw2tq4fpj7ls7zqhzwlrcdmu"])]
Limit = Annotated[int, Query(ge=1, le=500, description="Entries at most")]
Before = Annotated[int | None, Query(ge=1, le=2**63 - 1, description="Only entries with smaller numbers")]


@dataclass(frozen=True)
class Administration:
    """What the routes need of a service's process."""

    db: Database
    keys: OperatorKeys
    audit: AuditLog
    pepper: bytes
    now: Callable[[], datetime]
    unknown_key: type[Exception]
    """The service's error for a key that there is not."""


class Administrator(Protocol):
    """Who asks."""

    @property
    def name(self) -> str:
        """What the audit log calls them."""


def routes(administrator: Callable[..., Administrator], administration: Callable[..., Administration]) -> APIRouter:
    """The routes, given two dependencies: who asks, refused unless it is an administrator, and where."""
    router = APIRouter(prefix="/v1", tags=["credentials"], dependencies=[Depends(administrator)])
    Who = Annotated[Administrator, Depends(administrator)]  # noqa: N806 - a type
    Here = Annotated[Administration, Depends(administration)]  # noqa: N806 - a type

    @router.post(
        "/operator-keys",
        status_code=201,
        operation_id="createOperatorKey",
        summary="Make an operator key",
        responses=documented(400, 401, 403, 408, 413, 422, 429, 503),
    )
    def create(body: OperatorKeyRequest, who: Who, here: Here) -> OperatorKeyCreated:
        """A key for a person or a program. Its secret is shown this once."""

        def step(tx: Connection) -> OperatorKeyCreated:
            now = here.now()
            made = here.keys.make(tx, body, pepper=here.pepper, now=now)
            here.audit.record(tx, who.name, "create operator key", made.key_id, now)
            return made

        return here.db.run("create_operator_key", step)

    @router.get(
        "/operator-keys",
        operation_id="listOperatorKeys",
        summary="List operator keys",
        responses=documented(401, 403, 429, 503),
    )
    def list_all(here: Here) -> list[OperatorKeyView]:
        """Keys, newest first, without their secrets, which are not stored."""
        return here.db.run("list_operator_keys", here.keys.views)

    @router.delete(
        "/operator-keys/{key_id}",
        status_code=204,
        operation_id="revokeOperatorKey",
        summary="Revoke an operator key",
        responses=documented(401, 403, 404, 422, 429, 503),
    )
    def revoke(key_id: KeyId, who: Who, here: Here) -> None:
        """It is refused from now on."""

        def step(tx: Connection) -> None:
            now = here.now()
            if not here.keys.revoke(tx, key_id, now):
                raise here.unknown_key(f"there is no operator key {key_id!r}")
            here.audit.record(tx, who.name, "revoke operator key", key_id, now)

        here.db.run("revoke_operator_key", step)

    @router.get(
        "/audit", operation_id="listAudit", summary="Read the audit log", responses=documented(401, 403, 422, 429, 503)
    )
    def audit_log(here: Here, limit: Limit = 100, before: Before = None) -> list[AuditEntry]:
        """What operators did, newest first; it holds names and ids, never secrets."""
        return here.db.run("read_audit", lambda tx: here.audit.entries(tx, limit=limit, before=before))

    return router
