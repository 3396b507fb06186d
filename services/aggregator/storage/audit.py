"""What operators did, and when."""

from services.aggregator.storage.tables import audit_log
from services.kit.audit import AuditLog

log = AuditLog(audit_log)
record, forget = log.record, log.forget
