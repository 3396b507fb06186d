"""Uploaded weights: one row for each digest; the bytes are objects."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import ColumnElement, Connection, delete, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from fedrec_protocol.tensors import TensorSpec
from services.kit.objects import ObjectHome
from services.model_registry.domain.errors import WeightsDeleted
from services.model_registry.storage.tables import alias_moves, versions, weights

Chunks = Iterable[bytes | memoryview]

_FEW = 10
"""Weights that one transaction deletes: each may be gigabytes."""


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
    """Keep weights whose bytes were checked; returns whether they were not here, or deleted."""
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
    changed = ("object_key", "compressed_key", "compressed_bytes", "uploaded_at", "used_on")
    again = {name: row.excluded[name] for name in changed}
    row = row.on_conflict_do_update(index_elements=["digest"], set_=again, where=~_is_here())
    if tx.execute(row.returning(weights.c.digest)).one_or_none() is not None:
        return True
    for key in keys:  # somebody uploaded the same weights meanwhile
        home.delete(tx, key)
    return False


def touch(tx: Connection, digest: str) -> int | None:
    """Keep weights that are uploaded again from being swept; their size, or None when they are not here."""
    changed = update(weights).where(weights.c.digest == digest, _is_here()).values(uploaded_at=func.now())
    size: int | None = tx.execute(changed.returning(weights.c.size_bytes)).scalar()
    return size


def hold(tx: Connection, digest: str) -> bool:
    """Keep weights from being swept until this transaction ends; False when they are not here."""
    query = select(weights.c.digest).where(weights.c.digest == digest, _is_here())
    query = query.with_for_update(read=True, key_share=True)
    return tx.execute(query).one_or_none() is not None


def of_version(tx: Connection, version_id: str, today: date, may_see: Callable[[str], bool]) -> StoredWeights | None:
    """The weights of a version, which are in use today; None where there is no such version of a model one may see.

    Raises:
        WeightsDeleted: nobody had used them for long.
    """
    query = (
        select(
            versions.c.model,
            weights.c.digest,
            weights.c.size_bytes,
            weights.c.object_key,
            weights.c.compressed_key,
            weights.c.compressed_bytes,
            weights.c.used_on,
        )
        .join(weights, weights.c.digest == versions.c.digest)
        .where(versions.c.version_id == version_id)
    )
    row = tx.execute(query).one_or_none()
    if row is None or not may_see(row.model):
        return None
    if row.object_key is None or not _use(tx, row.digest, row.used_on, today):
        raise WeightsDeleted(f"nobody had used them for long: take a newer version of {row.model!r}")
    _, *stored, _ = row
    return StoredWeights(*stored)


def _use(tx: Connection, digest: str, used_on: date, today: date) -> bool:
    """Count weights as used today; False where they were deleted since they were read."""
    if used_on >= today:
        return True
    used = update(weights).where(weights.c.digest == digest, _is_here()).values(used_on=today)
    return tx.execute(used).rowcount == 1


def delete_unpublished(tx: Connection, home: ObjectHome, *, uploaded_before: datetime) -> int:
    """Delete weights of which no version was made, some at a time; returns how many."""
    due = select(weights.c.digest).where(weights.c.uploaded_at < uploaded_before, _is_here(), ~_has_version())
    digests = tx.execute(due.limit(100).with_for_update(skip_locked=True)).scalars().all()
    # Looked at once more: a version may have been committed between reading the rows and locking them.
    gone = delete(weights).where(weights.c.digest.in_(digests), ~_has_version())
    rows = tx.execute(gone.returning(weights.c.object_key, weights.c.compressed_key)).all()
    for key in (key for row in rows for key in row if key is not None):
        home.delete(tx, key)
    return len(rows)


def delete_unused(tx: Connection, home: ObjectHome, *, used_before: date) -> int:
    """Delete the bytes of weights that nobody has downloaded for long, a few at a time; returns of how many.

    The newest version of each task keeps its weights, and so does every version that an alias names or has named:
    the task may go on, and the alias may be rolled back. Digest, size and tensors stay of all.
    """
    due = select(weights.c.digest, weights.c.object_key, weights.c.compressed_key)
    due = due.where(weights.c.used_on < used_before, _is_here(), _has_version(), ~_is_needed())
    locked = {row.digest: row for row in tx.execute(due.limit(_FEW).with_for_update(skip_locked=True))}
    # Looked at once more, now that no alias can move to them: one may have moved before they were locked.
    gone = update(weights).where(weights.c.digest.in_(locked), ~_is_needed())
    gone = gone.values(object_key=None, compressed_key=None, compressed_bytes=None)
    digests = tx.execute(gone.returning(weights.c.digest)).scalars().all()
    for _, *keys in map(locked.__getitem__, digests):
        for key in filter(None, keys):
            home.delete(tx, key)
    return len(digests)


def _is_here() -> ColumnElement[bool]:
    return weights.c.object_key.is_not(None)


def _has_version() -> ColumnElement[bool]:
    return exists().where(versions.c.digest == weights.c.digest)


def _is_needed() -> ColumnElement[bool]:
    later = versions.alias("later")
    of_same_task = later.c.lineage["task_id"].astext.is_not_distinct_from(versions.c.lineage["task_id"].astext)
    is_newest = ~exists().where(later.c.model == versions.c.model, later.c.number > versions.c.number, of_same_task)
    was_named = exists().where(alias_moves.c.to_version_id == versions.c.version_id)
    return exists().where(versions.c.digest == weights.c.digest, or_(is_newest, was_named))
