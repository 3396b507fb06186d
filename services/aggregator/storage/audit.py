"""What operators did, and when."""

from services.aggregator.storage.tables import audit_log
from services.kit.audit import AuditLog

_log = AuditLog(audit_log)
record, entries, forget = _log.record, _log.entries, _log.forget
