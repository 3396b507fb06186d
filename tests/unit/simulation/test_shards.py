"""Splits of a labelled data set among people who are not alike."""

import numpy as np
import pytest

from simulation.shards import Shards, dirichlet_shards, sorted_shards

LABELS = np.random.default_rng(1).integers(0, 10, 6_000)


def classes_seen(shards: Shards) -> float:
    return float(np.mean([len(np.unique(LABELS[shard])) for shard in shards]))


@pytest.mark.parametrize("concentration", [0.1, 100.0])
def test_every_example_belongs_to_exactly_one_person(concentration: float) -> None:
    generator = np.random.default_rng(2)
    for shards in (
        dirichlet_shards(LABELS, 20, concentration=concentration, generator=generator),
        sorted_shards(LABELS, 20, shards_per_person=2, generator=generator),
    ):
        np.testing.assert_array_equal(np.sort(np.concatenate(shards)), np.arange(len(LABELS)))


def test_a_large_concentration_gives_everybody_the_same_mixture() -> None:
    shards = dirichlet_shards(LABELS, 20, concentration=1e6, generator=np.random.default_rng(2))
    overall = np.bincount(LABELS) / len(LABELS)
    for shard in shards:
        np.testing.assert_allclose(np.bincount(LABELS[shard], minlength=10) / len(shard), overall, atol=0.01)


def test_a_small_concentration_gives_people_few_classes() -> None:
    few = dirichlet_shards(LABELS, 20, concentration=0.02, generator=np.random.default_rng(2))
    many = dirichlet_shards(LABELS, 20, concentration=100.0, generator=np.random.default_rng(2))
    assert classes_seen(few) < 4
    assert classes_seen(many) == 10


def test_two_sorted_shards_hold_at_most_four_classes() -> None:
    """Each shard is shorter than a class, so it touches at most two."""
    shards = sorted_shards(LABELS, 20, shards_per_person=2, generator=np.random.default_rng(2))
    assert max(len(np.unique(LABELS[shard])) for shard in shards) <= 4
