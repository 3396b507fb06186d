"""What a lineage with correlated noise remembers: its key, and the noise of its last rounds, sealed."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, delete, insert, select, update

from services.aggregator.domain import sealing
from services.aggregator.storage.tables import noise_vectors, privacy_ledgers
from services.kit.objects import ObjectHome

Vectors = Mapping[int, NDArray[np.float64]]
"""Noise by round number, float64, shape (d,)."""


def set_key(tx: Connection, lineage: str, wrapped: bytes | None) -> None:
    """Store the lineage's wrapped noise key, or erase it."""
    tx.execute(update(privacy_ledgers).where(privacy_ledgers.c.lineage == lineage).values(noise_key=wrapped))


def wrapped_key(tx: Connection, lineage: str) -> bytes | None:
    """The lineage's wrapped noise key; None where there is none, or it was erased."""
    key: bytes | None = tx.execute(
        select(privacy_ledgers.c.noise_key).where(privacy_ledgers.c.lineage == lineage)
    ).scalar()
    return key


def read(tx: Connection, home: ObjectHome, lineage: str, key: bytes, size: int) -> dict[int, NDArray[np.float64]]:
    """The noise of the last rounds, each of `size` coordinates.

    Raises:
        SealBroken, ObjectMissing: it cannot be read.
    """
    rows = tx.execute(select(noise_vectors).where(noise_vectors.c.lineage == lineage)).mappings().all()
    return {
        row["round_number"]: np.frombuffer(
            b"".join(
                sealing.unseal(home.read(tx, row["object_key"]), 8 * size, key, _name(lineage, row["round_number"]))
            ),
            np.float64,
        )
        for row in rows
    }


def replace(tx: Connection, home: ObjectHome, lineage: str, key: bytes, vectors: Vectors) -> None:
    """Keep these rounds' noise and no other: what is stored already stays as it is."""
    query = select(noise_vectors.c.round_number, noise_vectors.c.object_key).where(noise_vectors.c.lineage == lineage)
    stored = {row.round_number: row.object_key for row in tx.execute(query)}
    for number in vectors.keys() - stored.keys():
        plain = memoryview(vectors[number].tobytes())
        object_key = home.put(tx, sealing.seal(plain, key, _name(lineage, number)))
        tx.execute(insert(noise_vectors).values(lineage=lineage, round_number=number, object_key=object_key))
    _drop(tx, home, lineage, {number: stored[number] for number in stored.keys() - vectors.keys()})


def forget(tx: Connection, home: ObjectHome, lineage: str) -> None:
    """Erase the key and all noise: no round will follow."""
    query = select(noise_vectors.c.round_number, noise_vectors.c.object_key).where(noise_vectors.c.lineage == lineage)
    _drop(tx, home, lineage, {row.round_number: row.object_key for row in tx.execute(query)})
    set_key(tx, lineage, None)


def _drop(tx: Connection, home: ObjectHome, lineage: str, keys: Mapping[int, str]) -> None:
    for number, object_key in keys.items():
        tx.execute(
            delete(noise_vectors).where(noise_vectors.c.lineage == lineage, noise_vectors.c.round_number == number)
        )
        home.delete(tx, object_key)


def _name(lineage: str, number: int) -> str:
    return f"{lineage}:noise:{number}"
