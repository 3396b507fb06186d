"""Splitting one labelled data set among people who are not alike."""

import numpy as np
from numpy.typing import NDArray

Shards = list[NDArray[np.int64]]
"""Indices of each person's examples; every example belongs to exactly one person."""


def dirichlet_shards(
    labels: NDArray[np.integer], people: int, *, concentration: float, generator: np.random.Generator
) -> Shards:
    """Split the examples of each class by proportions drawn from a Dirichlet distribution.

    A small concentration gives each class to few people; a large one makes everybody alike.
    Hsu, Qi and Brown 2019, https://arxiv.org/abs/1909.06335 draw each person's mixture of classes;
    drawing each class's mixture of people instead uses every example once.

    Args:
        labels: Class of each example, shape (n,).
        people: Number of people.
        concentration: Of the symmetric Dirichlet distribution; positive.
        generator: All randomness.
    """
    parts: list[list[NDArray[np.int64]]] = [[] for _ in range(people)]
    for label in np.unique(labels):
        examples = generator.permutation(np.flatnonzero(labels == label))
        share = generator.dirichlet(np.full(people, concentration))
        cuts = np.round(np.cumsum(share)[:-1] * len(examples)).astype(np.int64)
        for person, part in enumerate(np.split(examples, cuts)):
            parts[person].append(part)
    return [np.concatenate(part) for part in parts]


def sorted_shards(
    labels: NDArray[np.integer], people: int, *, shards_per_person: int, generator: np.random.Generator
) -> Shards:
    """Sort by class, cut into equal shards and deal each person a few: most see only so many classes.

    McMahan et al. 2017, https://arxiv.org/abs/1602.05629, section 3 (the non-IID partition of MNIST).

    Args:
        labels: Class of each example, shape (n,).
        people: Number of people.
        shards_per_person: Shards dealt to each.
        generator: All randomness.
    """
    shards = np.array_split(np.argsort(labels, kind="stable"), people * shards_per_person)
    dealt = generator.permutation(len(shards)).reshape(people, shards_per_person)
    return [np.concatenate([shards[shard] for shard in hand]) for hand in dealt]
