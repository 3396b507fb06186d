"""Which life of the database this is: another one after a restore, a recovery to a point in time, or a failover.

A restored dump has other tables. Another cluster has another identifier; one that was recovered to a point in time, or
a standby that took over, is on another timeline.
"""

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

_TABLE = "SELECT 'aggregator.privacy_charges'::regclass::oid::text"
# For minutes after a promotion the last checkpoint has the old timeline; the recovery has the new one then.
_CLUSTER = """SELECT concat_ws('.', system_identifier, greatest(timeline_id, min_recovery_end_timeline))
    FROM pg_control_system(), pg_control_checkpoint(), pg_control_recovery()"""
_NOT_TOLD = frozenset({"0A000", "42501", "42883"})  # not supported, not allowed, not there


def incarnation(tx: Connection) -> str:
    """The name of this life; where a Postgres that others run does not tell its cluster's, of its tables alone."""
    table: str = tx.execute(text(_TABLE)).scalar_one()
    try:
        with tx.begin_nested():
            return f"{tx.execute(text(_CLUSTER)).scalar_one()}.{table}"
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) not in _NOT_TOLD:
            raise
        return table
