"""Uploaded weights: one row for each digest; the bytes are objects."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert

from fedrec_protocol.tensors import TensorSpec
from services.kit.objects import ObjectHome
from services.model_registry.storage.tables import versions, weights

Chunks = Iterable[bytes | memoryview]


@dataclass(frozen=True)
class StoredWeights:
    """Weights that are safely kept, perhaps also in a compressed copy."""

    digest: str
    """SHA-256 of the file, in hexadecimal."""
    size_bytes: int
    object_key: str
    compressed_key: str | None
    """zstd-compressed copy of the file; None where that would save little."""
    compressed_bytes: int | None


def add(
    tx: Connection,
    home: ObjectHome,
    *,
    digest: str,
    tensors: Iterable[TensorSpec],
    file: Chunks,
    compressed: Chunks | None,
) -> bool:
    """Keep weights whose bytes were checked; returns whether they are new."""
    keys = [home.put(tx, file)] + ([] if compressed is None else [home.put(tx, compressed)])
    sizes = [home.size(tx, key) for key in keys]
    row = insert(weights).values(
        digest=digest,
        object_key=keys[0],
        size_bytes=sizes[0],
        compressed_key=keys[1] if compressed is not None else None,
        compressed_bytes=sizes[1] if compressed is not None else None,
        tensors=[spec.model_dump(mode="json", exclude={"init"}) for spec in tensors],
    )
    if tx.execute(row.on_conflict_do_nothing().returning(weights.c.digest)).one_or_none() is not None:
        return True
    for key in keys:  # somebody uploaded the same weights meanwhile
        home.delete(tx, key)
    return False


def touch(tx: Connection, digest: str) -> int | None:
    """Keep weights that are uploaded again from being swept; their size, or None when they are not here."""
    changed = update(weights).where(weights.c.digest == digest).values(uploaded_at=func.now())
    size: int | None = tx.execute(changed.returning(weights.c.size_bytes)).scalar()
    return size


def hold(tx: Connection, digest: str) -> bool:
    """Keep weights from being swept until this transaction ends; False when they are not here."""
    query = select(weights.c.digest).where(weights.c.digest == digest).with_for_update(read=True, key_share=True)
    return tx.execute(query).one_or_none() is not None


def of_version(tx: Connection, version_id: str) -> tuple[str, StoredWeights] | None:
    """The model and the weights of a version, if there is such a version."""
    query = (
        select(
            versions.c.model,
            weights.c.digest,
            weights.c.size_bytes,
            weights.c.object_key,
            weights.c.compressed_key,
            weights.c.compressed_bytes,
        )
        .join(weights, weights.c.digest == versions.c.digest)
        .where(versions.c.version_id == version_id)
    )
    row = tx.execute(query).one_or_none()
    if row is None:
        return None
    model, *stored = row
    return model, StoredWeights(*stored)


def delete_unpublished(tx: Connection, home: ObjectHome, *, uploaded_before: datetime) -> int:
    """Delete weights of which no version was made, some at a time; returns how many."""
    is_published = exists().where(versions.c.digest == weights.c.digest)
    due = select(weights.c.digest).where(weights.c.uploaded_at < uploaded_before, ~is_published)
    digests = tx.execute(due.limit(100).with_for_update(skip_locked=True)).scalars().all()
    # Looked at once more: a version may have been committed between reading the rows and locking them.
    gone = delete(weights).where(weights.c.digest.in_(digests), ~is_published)
    rows = tx.execute(gone.returning(weights.c.object_key, weights.c.compressed_key)).all()
    for key in (key for row in rows for key in row if key is not None):
        home.delete(tx, key)
    return len(rows)
