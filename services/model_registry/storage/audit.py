"""What operators did, and when."""

from services.kit.audit import AuditLog
from services.model_registry.storage.tables import audit_log

log = AuditLog(audit_log)
record, forget = log.record, log.forget
