"""Which alternative is taken for the gains that devices report."""

import numpy as np

from fedrec_recipes.surest_gain import GAIN_STEPS, surest

ALTERNATIVES, DEFAULT, OTHER = 12, 3, 7


def people_gain(each: float, people: int, *, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Sums over people who gain `each` on average by one other alternative, give or take `spread`."""
    gains, squares = np.zeros(ALTERNATIVES), np.zeros(ALTERNATIVES)
    gains[OTHER] = people * each
    squares[OTHER] = people * (each**2 + spread**2) / GAIN_STEPS
    return gains, squares


def test_a_gain_that_chance_explains_keeps_the_default() -> None:
    # 200, give or take 142: less than 1.5 standard errors
    assert surest(*people_gain(1.0, 200, spread=10.0), DEFAULT) == DEFAULT


def test_the_same_gain_of_more_people_is_believed() -> None:
    assert surest(*people_gain(1.0, 400, spread=10.0), DEFAULT) == OTHER  # 400, give or take 201


def test_a_gain_that_noise_explains_keeps_the_default() -> None:
    gains, squares = people_gain(1.0, 400, spread=10.0)  # 400, give or take 201 by chance
    gains[DEFAULT], squares[DEFAULT] = 300.0, -300.0  # where without noise there are zeros
    assert surest(gains, squares, DEFAULT) == DEFAULT
    more = people_gain(1.0, 4000, spread=10.0)
    more[0][DEFAULT] = 300.0
    assert surest(*more, DEFAULT) == OTHER  # 4000, give or take 636 by chance and 212 by noise


def test_without_any_gain_the_default_is_kept() -> None:
    assert surest(np.zeros(ALTERNATIVES), np.zeros(ALTERNATIVES), DEFAULT) == DEFAULT
