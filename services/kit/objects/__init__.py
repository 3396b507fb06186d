"""Immutable objects (weights, partial sums) behind one small interface, in one of three homes.

Postgres by default: chunked rows, written in the caller's own transaction. A local folder is the
fastest on one host, S3-compatible storage suits large models and many replicas.
"""

from services.kit.objects.home import CHUNK_BYTES, ObjectHome, ObjectMissing, ObjectsUnavailable
from services.kit.objects.opening import open_home
from services.kit.objects.tables import ObjectTables, object_tables

__all__ = [
    "CHUNK_BYTES",
    "ObjectHome",
    "ObjectMissing",
    "ObjectTables",
    "ObjectsUnavailable",
    "object_tables",
    "open_home",
]
