"""The tasks whose participants have an app: masked and encrypted reports, and noise that somebody remembers or adds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fedrec_protocol.encrypted.parameters import Scheme
from fedrec_protocol.secagg.descriptor import HARD_FLOOR
from fedrec_sdk.silo.key import make_silo_key
from tests.integration.aggregator.powers import POWERS, powers_task
from tests.soak.apps import AppTask
from tests.soak.ballots import BUDGET, PRIVATE

PHASE_SECONDS = 6.0
BANDS = 2
SILOS = 4
_OFTEN, _SELDOM = 0.3, 1.2
"""Seconds: what a masked round waits for, five times, and what leaves the machine to the others."""


def masked(*, with_noise: bool, **rounds: Any) -> AppTask:
    """Masked reports, whose rounds may lose one participant; with noise inside the masks, or without."""
    people = HARD_FLOOR + 1
    phases = dict.fromkeys(("share_seconds", "report_seconds", "acknowledge_seconds", "reveal_seconds"), PHASE_SECONDS)
    bits = 40 if with_noise else 50  # noise spans 50 to 2^16 steps of the grid
    terms = {"modulus_bits": 64, "value_bits": bits, "minimum_cohort": HARD_FLOOR} | phases
    manifest = powers_task(goal=people, **rounds) | {"secure_aggregation": terms}
    if not with_noise:
        return AppTask(manifest, people, POWERS, _OFTEN)
    distributed = {"mechanism": "distributed", "colluding_share": 0.2} | BUDGET
    return AppTask(manifest | {"privacy": distributed}, people, PRIVATE, _OFTEN)


def encrypted(folder: Path, scheme: Scheme, **rounds: Any) -> AppTask:
    """Encrypted reports of a few silos, whose rounds may lose one of them."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "silo.key"
    key = make_silo_key(path, scheme)
    terms = {"scheme": key.scheme, "key_fingerprint": key.fingerprint, "decrypt_seconds": PHASE_SECONDS}
    policy = {"minimum_reports": SILOS - 1, "over_selection_factor": 1.0, "report_timeout_seconds": None}
    manifest = powers_task(goal=SILOS, **rounds | policy)
    changes = {"homomorphic_encryption": terms, "report": {"weighting": "uniform", "maximum_norm": 2.0**SILOS}}
    return AppTask(manifest | changes, SILOS, POWERS, _SELDOM, path)


def correlated(**rounds: Any) -> AppTask:
    """Noise that takes back part of the rounds' before; nobody takes part in two rounds in a row."""
    policy = rounds | {"minimum_reports": 1, "minimum_separation": BANDS}
    privacy = BUDGET | {"correlated": {"bands": BANDS}}
    return AppTask(powers_task(goal=2, **policy) | {"privacy": privacy}, 4, PRIVATE, _SELDOM)


def local(**rounds: Any) -> AppTask:
    """Noise on every report, before it leaves the device."""
    privacy = {"mechanism": "local"} | BUDGET
    return AppTask(powers_task(goal=2, **rounds) | {"privacy": privacy}, 3, PRIVATE, _SELDOM)
