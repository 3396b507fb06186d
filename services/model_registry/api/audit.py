"""The route by which administrators read what operators did."""

from typing import Annotated

from fastapi import APIRouter, Query

from fedrec_protocol.operator_messages import AuditEntry
from services.kit.problems import documented
from services.model_registry.api.access import AdminDep
from services.model_registry.api.context import ContextDep
from services.model_registry.api.parameters import Limit
from services.model_registry.storage import audit

router = APIRouter(prefix="/v1", tags=["credentials"])


@router.get(
    "/audit", operation_id="listAudit", summary="Read the audit log", responses=documented(401, 403, 422, 429, 503)
)
def audit_log(
    operator: AdminDep,
    context: ContextDep,
    limit: Limit = 100,
    before: Annotated[int | None, Query(ge=1, le=2**63 - 1, description="Only entries with smaller numbers")] = None,
) -> list[AuditEntry]:
    """What operators did, newest first; it holds names and ids, never secrets."""
    return context.db.run("read_audit", lambda tx: audit.entries(tx, limit=limit, before=before))
