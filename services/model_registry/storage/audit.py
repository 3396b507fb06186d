"""What operators did, and when."""

from services.kit.audit import AuditLog
from services.model_registry.storage.tables import audit_log

_log = AuditLog(audit_log)
record, entries, forget = _log.record, _log.entries, _log.forget
