"""Small synthetic people with taste, for tests of recipes."""

import numpy as np

from fedrec_recipes.recipe import History


def people_with_taste(people: int = 120, items: int = 60, *, groups: int = 4, length: int = 12) -> list[History]:
    """Histories in which nine of ten choices are from the person's own group of items, at random."""
    generator = np.random.default_rng(20261122)
    group_of_item = np.arange(items) % groups
    histories = []
    for person in range(people):
        preference = np.where(group_of_item == person % groups, 9.0 / (items / groups), 1.0 / (items - items / groups))
        chosen = generator.choice(items, size=length, replace=False, p=preference / preference.sum())
        histories.append(History(chosen.astype(np.int64)))
    return histories
