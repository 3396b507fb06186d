"""Silos that share a secret key, and tasks whose reports they encrypt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.aggregator.cohort import NORM, SIZE, Cohort
from tests.integration.aggregator.deployment import Deployment, Task

pytest.importorskip("tenseal", reason="homomorphic encryption needs pip install 'fedrec-sdk[ckks]'")

from fedrec_protocol.encrypted.parameters import Scheme
from fedrec_sdk.silo import contribution
from fedrec_sdk.silo.key import SiloKey, make_silo_key


def silo_key(path: Path, scheme: Scheme = Scheme.CKKS) -> SiloKey:
    """A new key in a new file."""
    return make_silo_key(path, scheme)


def encrypted_task(world: Deployment, key: SiloKey, silos: int = 4, **changes: Any) -> Task:
    """A task of encrypted reports of one float64 tensor, for silos with this key."""
    encryption = {"scheme": key.scheme, "key_fingerprint": key.fingerprint} | changes.pop("encryption", {})
    manifest: dict[str, Any] = {
        "shared": [{"name": "items", "shape": [SIZE], "dtype": "F64"}],
        "report": {"weighting": "uniform", "maximum_norm": NORM},
        "rounds": {"aggregation_goal": silos, "minimum_reports": 3, "deadline_seconds": 600},
        "homomorphic_encryption": encryption,
    }
    return world.task(**manifest | changes)


def round_of(cohort: Cohort, number: int) -> dict[str, Any]:
    """A round of the cohort's task, as its operator sees it."""
    (found,) = [round_ for round_ in cohort.task.get("/rounds") if round_["number"] == number]
    return dict(found)


@contextmanager
def decrypting_otherwise() -> Iterator[None]:
    """Whoever contributes meanwhile sends something else than what it decrypted."""
    honest = contribution._as_sent
    contribution._as_sent = lambda vector: honest(vector + 1)
    try:
        yield
    finally:
        contribution._as_sent = honest
