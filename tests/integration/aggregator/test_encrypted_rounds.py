"""Homomorphic encryption end to end: real silos, real HTTP, real Postgres; the published sum is exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fedrec_protocol.encrypted.parameters import Scheme
from tests.integration.aggregator.cohort import Cohort, integer_sum, published_sum
from tests.integration.aggregator.silos import encrypted_task, silo_key
from tests.integration.aggregator.world import World

Gather = Callable[..., Cohort]


@pytest.fixture
def gather(world: World, tmp_path: Path) -> Iterator[Gather]:
    cohorts: list[Cohort] = []

    def make(silos: int = 3, scheme: Scheme = Scheme.CKKS, **changes: object) -> Cohort:
        key = silo_key(tmp_path / f"key-{len(cohorts)}", scheme)
        task = encrypted_task(world, key, silos, **changes)
        cohorts.append(Cohort(task, tmp_path / f"{len(cohorts)}", silos, silo_key=tmp_path / f"key-{len(cohorts)}"))
        return cohorts[-1]

    yield make
    for cohort in cohorts:
        cohort.close()


def round_of(cohort: Cohort, number: int) -> dict[str, object]:
    (found,) = [round_ for round_ in cohort.task.get("/rounds") if round_["number"] == number]
    return dict(found)


@pytest.mark.parametrize("scheme", list(Scheme))
def test_the_published_sum_is_the_integer_sum_of_what_the_silos_learnt(gather: Gather, scheme: Scheme) -> None:
    cohort = gather(scheme=scheme)
    cohort.wait(phases=1)
    assert "decrypting: 0 of 3 silos, 2 must agree" in str(round_of(cohort, 1)["waiting_for"])
    cohort.finish()
    assert published_sum(cohort.task, 3) == integer_sum(range(3))
    assert round_of(cohort, 1)["state"] == "published"
    assert round_of(cohort, 1)["reports"] == 3
