"""The blend chooses its own mixture, in two rounds."""

from dataclasses import replace

import numpy as np
import pytest

from fedrec_recipes.blend import GAINS, LEFT_OUT, MIXTURE, NEXT_ITEM_WEIGHTS, SQUARED_GAINS, Blend, BlendConfig
from fedrec_recipes.metrics import metric_value, rank_of
from fedrec_recipes.mixture import DEFAULT_MIXTURE, GAIN_STEPS, GRID, HALF_LIVES, Mixture, chosen_mixture
from fedrec_recipes.recipe import History
from tests.unit.recipes.data import people_with_taste

ITEMS = 60
GENERATOR = np.random.default_rng(0)  # nothing is random in these models
PERSON = 3  # somebody whose last item is near the top
HISTORIES = people_with_taste()


def blend(*, chooses_mixture: bool = True) -> Blend:
    return Blend(BlendConfig(number_of_items=ITEMS, chooses_mixture=chooses_mixture))


def wandering() -> list[History]:
    """People who mostly take the next item on a circle, and else any: only the last one tells what comes."""
    generator = np.random.default_rng(0)
    return [_walk(generator) for _ in range(200)]


def _walk(generator: np.random.Generator) -> History:
    items = [int(generator.integers(ITEMS))]
    while len(items) < 12:
        following = (items[-1] + 1) % ITEMS if generator.random() < 0.5 else int(generator.integers(ITEMS))
        if following not in items:
            items.append(following)
    return History(np.array(items))


def test_the_first_round_learns_nothing_from_anybodys_last_interaction() -> None:
    first = blend().train_central(HISTORIES, GENERATOR, rounds=1)
    without = blend(chooses_mixture=False).train_central([h.without_last(1) for h in HISTORIES], GENERATOR, rounds=1)
    assert first[LEFT_OUT] == 1
    np.testing.assert_array_equal(first[NEXT_ITEM_WEIGHTS], without[NEXT_ITEM_WEIGHTS])


def test_the_second_round_learns_from_all_of_a_history() -> None:
    final = blend().train_central(HISTORIES, GENERATOR)
    whole = blend(chooses_mixture=False).train_central(HISTORIES, GENERATOR, rounds=1)
    assert final[LEFT_OUT] == 0
    np.testing.assert_array_equal(final[NEXT_ITEM_WEIGHTS], whole[NEXT_ITEM_WEIGHTS])


def test_gains_are_ndcg_of_the_left_out_item_beyond_that_of_the_default_mixture() -> None:
    first = blend().train_central(HISTORIES, GENERATOR, rounds=1)
    report = blend().train(first, {}, HISTORIES[PERSON], blend().training, GENERATOR).report
    known, target = HISTORIES[PERSON].without_last(1), int(HISTORIES[PERSON].items[-1])

    def steps(mixture: Mixture) -> int:
        rank = rank_of(blend().mixed(first, known, mixture), target, known.items)
        return round(GAIN_STEPS * metric_value("ndcg@10", rank))

    expected = [steps(mixture) - steps(DEFAULT_MIXTURE) for mixture in GRID]
    assert any(expected)
    np.testing.assert_array_equal(report[GAINS], expected)
    np.testing.assert_array_equal(report[SQUARED_GAINS], np.ceil(np.square(expected) / GAIN_STEPS))


def test_where_only_the_last_item_tells_what_comes_the_shortest_recency_is_chosen() -> None:
    final = blend().train_central(wandering(), GENERATOR)
    assert final[MIXTURE][0] == min(HALF_LIVES) < DEFAULT_MIXTURE.half_life
    assert blend().score(final, {}, History(np.array([40, 41, 42]))).argmax() == 43


def test_later_rounds_keep_the_mixture_and_ask_for_no_gains() -> None:
    final = blend().train_central(wandering(), GENERATOR)
    report = blend().train(final, {}, wandering()[0], blend().training, GENERATOR).report
    assert not report[GAINS].any()
    later = blend().train_central(HISTORIES, GENERATOR, base=final, rounds=1)
    np.testing.assert_array_equal(later[MIXTURE], final[MIXTURE])


def test_without_a_choice_one_round_gives_the_whole_model() -> None:
    only = blend(chooses_mixture=False).train_central(HISTORIES, GENERATOR, rounds=1)
    assert only[LEFT_OUT] == 0
    np.testing.assert_array_equal(only[MIXTURE], DEFAULT_MIXTURE.as_tensor())


@pytest.mark.parametrize("length", [0, 1])
def test_a_person_without_two_interactions_reports_no_gains(length: int) -> None:
    first = blend().train_central(HISTORIES, GENERATOR, rounds=1)
    report = blend().train(first, {}, History(np.arange(length)), blend().training, GENERATOR).report
    assert not report[GAINS].any()


def people_gain(each: float, people: int, *, spread: float) -> tuple[np.ndarray, np.ndarray, Mixture]:
    """Sums over people who gain `each` on average by another half-life, give or take `spread`."""
    other = replace(DEFAULT_MIXTURE, half_life=20.0)
    gains, squares = np.zeros(len(GRID)), np.zeros(len(GRID))
    gains[GRID.index(other)] = people * each
    squares[GRID.index(other)] = people * (each**2 + spread**2) / GAIN_STEPS
    return gains, squares, other


def test_a_gain_that_chance_explains_keeps_the_default_mixture() -> None:
    gains, squares, _ = people_gain(1.0, 200, spread=10.0)  # 200, give or take 142: less than 1.5 standard errors
    assert chosen_mixture(gains, squares) == DEFAULT_MIXTURE


def test_the_same_gain_of_more_people_is_believed() -> None:
    gains, squares, other = people_gain(1.0, 400, spread=10.0)  # 400, give or take 201
    assert chosen_mixture(gains, squares) == other


def test_without_any_gain_the_mixture_is_the_default() -> None:
    assert chosen_mixture(np.zeros(len(GRID)), np.zeros(len(GRID))) == DEFAULT_MIXTURE


def test_an_item_that_only_a_left_out_interaction_names_earns_nothing() -> None:
    """It would otherwise be recognised as one of the few that nobody in the fit chose."""
    alone = [*HISTORIES, History(np.append(HISTORIES[0].items, ITEMS))]
    wider = Blend(BlendConfig(number_of_items=ITEMS + 1))
    first = wider.train_central(alone, GENERATOR, rounds=1)
    report = wider.train(first, {}, alone[-1], wider.training, GENERATOR).report
    assert not report[GAINS].any()
    scores = wider.score(first, {}, HISTORIES[0])
    assert scores[ITEMS] == scores.min()
