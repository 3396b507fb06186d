"""The blend chooses its own mixture, in two rounds."""

from dataclasses import replace

import numpy as np
import pytest

from fedrec_recipes.blend import (
    CO_OCCURRENCE_WEIGHTS,
    DEPTH_WEIGHTS,
    GAINS,
    ITEM_COUNT,
    LEFT_OUT,
    MIXTURE,
    NEXT_ITEM_WEIGHTS,
    SQUARED_GAINS,
    TREND,
    Blend,
    BlendConfig,
    held_out_count,
)
from fedrec_recipes.ease import Ease, EaseConfig
from fedrec_recipes.half_spaces import HYPERPLANES, ITEM_POINTS, depths_of
from fedrec_recipes.linear import ITEM_WEIGHTS
from fedrec_recipes.metrics import metric_value, rank_of
from fedrec_recipes.mixture import DEFAULT_MIXTURE, GRID, Mixture
from fedrec_recipes.recipe import History
from fedrec_recipes.slit import Slit, SlitConfig
from fedrec_recipes.surest_gain import GAIN_STEPS
from fedrec_recipes.trend import trend
from tests.unit.recipes.data import people_with_taste

ITEMS = 60
GENERATOR = np.random.default_rng(0)  # for the hyperplanes: nothing else is random
PERSON = 3  # somebody whose last item is near the top
HISTORIES = people_with_taste()
WITHOUT_ORDER = people_with_taste(600)


def blend(*, chooses_mixture: bool = True) -> Blend:
    return Blend(BlendConfig(number_of_items=ITEMS, chooses_mixture=chooses_mixture, half_spaces=32))


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


def test_the_first_round_learns_nothing_from_the_last_fifth_of_a_history() -> None:
    first = blend().train_central(HISTORIES, GENERATOR, rounds=1)
    without = [History(history.items[:10]) for history in HISTORIES]  # of 12
    expected = blend(chooses_mixture=False).train_central(without, GENERATOR, rounds=1)
    assert first[LEFT_OUT] == 1
    np.testing.assert_array_equal(first[NEXT_ITEM_WEIGHTS][0], expected[NEXT_ITEM_WEIGHTS][0])


@pytest.mark.parametrize(("length", "held_out"), [(0, 0), (1, 1), (9, 1), (10, 2), (24, 4), (25, 5), (1000, 5)])
def test_a_device_chooses_by_a_fifth_of_its_history_and_by_five_interactions_at_most(
    length: int, held_out: int
) -> None:
    assert held_out_count(length) == held_out


def test_the_first_model_has_both_regularisations_and_the_last_one_the_chosen_one() -> None:
    recipe = blend()
    first = recipe.train_central(HISTORIES, GENERATOR, rounds=1)
    for strength, expected in enumerate((200.0, 800.0)):
        alone = Slit(SlitConfig(number_of_items=ITEMS, regularisation=expected))
        shorter = [history.without_last(2) for history in HISTORIES]
        weights = alone.train_central(shorter, GENERATOR)[ITEM_WEIGHTS]
        np.testing.assert_array_equal(first[NEXT_ITEM_WEIGHTS][strength], weights.astype(np.float16))
    final = recipe.train_central(HISTORIES, GENERATOR, base=first, rounds=1)
    chosen = Mixture.from_tensor(final[MIXTURE]).strength
    assert final[NEXT_ITEM_WEIGHTS][chosen].any()
    assert not final[NEXT_ITEM_WEIGHTS][1 - chosen].any()


def test_the_second_round_learns_from_all_of_a_history() -> None:
    final = blend().train_central(HISTORIES, GENERATOR)
    strength = Mixture.from_tensor(final[MIXTURE]).strength
    alone = Ease(EaseConfig(number_of_items=ITEMS, regularisation=(4.0, 16.0)[strength]))
    whole = alone.train_central(HISTORIES, GENERATOR)[ITEM_WEIGHTS]
    assert final[LEFT_OUT] == 0
    np.testing.assert_array_equal(final[CO_OCCURRENCE_WEIGHTS][strength], whole.astype(np.float16))


def test_the_second_rounds_next_item_model_is_a_regression_on_items_and_on_depths_by_the_first_ones_points() -> None:
    people = HISTORIES[:30]
    first = blend().train_central(people, GENERATOR, rounds=1)
    final = blend().train_central(people, GENERATOR, base=first, rounds=1)
    strength = Mixture.from_tensor(final[MIXTURE]).strength
    rows, targets = [], []
    for history in people:
        for end, depths in enumerate(depths_of(first, history.items)[:-1], start=1):
            context, target = np.zeros(ITEMS), np.zeros(ITEMS)
            context[history.items[:end]] = Slit(SlitConfig(number_of_items=ITEMS)).history_weights(end)
            target[history.items[end : end + 2]] = (1.0, 0.25)[: len(history) - end]
            rows.append(np.concatenate([context, depths]))
            targets.append(target)
    matrix, penalties = np.array(rows), np.diag([(200.0, 800.0)[strength]] * ITEMS + [30_000.0] * 32)
    expected = np.linalg.inv(matrix.T @ matrix + penalties) @ matrix.T @ np.array(targets)
    # The sums are of pairs' weights in whole 1/32.
    np.testing.assert_allclose(final[NEXT_ITEM_WEIGHTS][strength], expected[:ITEMS], atol=1e-3)
    np.testing.assert_allclose(final[DEPTH_WEIGHTS], expected[ITEMS:], atol=1e-4)


def either_or() -> list[History]:
    """After one item of each of two pairs comes one of two others: which one, neither item tells alone."""
    generator = np.random.default_rng(0)
    ends = [(a, b, 4 + (a ^ b)) for a, b in generator.integers(2, size=(200, 2))]
    return [History(np.array([*(10 + generator.permutation(5)), a, 2 + b, last])) for a, b, last in ends]


def test_depths_tell_what_follows_two_items_that_say_nothing_alone() -> None:
    recipe = Blend(BlendConfig(number_of_items=15, half_spaces=256, depth_regularisation=10.0, chooses_mixture=False))
    linear = recipe.train_central(either_or(), np.random.default_rng(0), rounds=1)
    final = recipe.train_central(either_or(), GENERATOR, base=linear, rounds=1)
    known = [History(np.array([10, 11, 12, 13, 14, a, 2 + b])) for a in (0, 1) for b in (0, 1)]

    def leads(model: dict[str, np.ndarray]) -> list[float]:
        """By how much item 5 is ahead of item 4 after 0 0, 0 1, 1 0 and 1 1."""
        return [float(np.subtract(*recipe.score(model, {}, history)[[5, 4]])) for history in known]

    same_same, same_other, other_same, other_other = leads(final)
    assert max(same_same, other_other) < min(same_other, other_same)
    same_same, same_other, other_same, other_other = leads(linear)
    assert max(same_same, other_other) > min(same_other, other_same)


def test_later_rounds_keep_the_points_and_the_hyperplanes() -> None:
    final = blend().train_central(HISTORIES[:30], GENERATOR)
    later = blend().train_central(HISTORIES[30:60], GENERATOR, base=final, rounds=1)
    assert final[ITEM_POINTS].any()
    np.testing.assert_array_equal(later[ITEM_POINTS], final[ITEM_POINTS])
    np.testing.assert_array_equal(later[HYPERPLANES], final[HYPERPLANES])


def test_a_history_without_items_is_in_no_half_space() -> None:
    final = blend().train_central(HISTORIES, GENERATOR)
    with_depths = blend().mixed(final, History(np.array([], dtype=np.int64)), DEFAULT_MIXTURE)
    without = {**final, DEPTH_WEIGHTS: np.zeros_like(final[DEPTH_WEIGHTS])}
    np.testing.assert_array_equal(
        with_depths, blend().mixed(without, History(np.array([], dtype=np.int64)), DEFAULT_MIXTURE)
    )


def test_the_trend_compares_how_many_have_an_item_among_their_last_three_and_at_all() -> None:
    final = blend().train_central(HISTORIES, GENERATOR)
    people = [history.items.tolist() for history in HISTORIES]
    latest = np.array([sum(item in items[-3:] for items in people) for item in range(ITEMS)], dtype=float)
    counts = np.array([sum(item in items for items in people) for item in range(ITEMS)], dtype=float)
    np.testing.assert_array_equal(final[ITEM_COUNT], counts)
    np.testing.assert_array_equal(final[TREND], trend(latest, counts))


def test_the_trend_is_added_to_the_scores() -> None:
    final, known = blend().train_central(HISTORIES, GENERATOR), History(np.array([3, 1, 4]))
    without, with_it = (blend().mixed(final, known, replace(DEFAULT_MIXTURE, trend=weight)) for weight in (0.0, 2.0))
    assert final[TREND].any()
    np.testing.assert_allclose(with_it - without, 2 * final[TREND], atol=1e-5)


def test_the_first_rounds_trend_knows_nothing_of_left_out_interactions() -> None:
    first = blend().train_central(HISTORIES, GENERATOR, rounds=1)
    without = [History(history.items[:10]) for history in HISTORIES]  # of 12
    expected = blend(chooses_mixture=False).train_central(without, GENERATOR, rounds=1)
    np.testing.assert_array_equal(first[TREND], expected[TREND])


def test_gains_are_the_mean_ndcg_of_the_left_out_items_beyond_that_of_the_default_mixture() -> None:
    first = blend().train_central(HISTORIES, GENERATOR, rounds=1)
    report = blend().train(first, {}, HISTORIES[PERSON], blend().training, GENERATOR).report
    left_out = [(HISTORIES[PERSON].without_last(count), int(HISTORIES[PERSON].items[-count])) for count in (1, 2)]

    def steps(mixture: Mixture) -> float:
        ranks = [rank_of(blend().mixed(first, known, mixture), target, known.items) for known, target in left_out]
        return float(np.mean([round(GAIN_STEPS * metric_value("ndcg@10", rank)) for rank in ranks]))

    expected = np.rint([steps(mixture) - steps(DEFAULT_MIXTURE) for mixture in GRID])
    assert expected.any()
    np.testing.assert_array_equal(report[GAINS], expected)
    np.testing.assert_array_equal(report[SQUARED_GAINS], np.ceil(np.square(expected) / GAIN_STEPS))


def test_where_one_item_follows_another_it_comes_first() -> None:
    final = blend().train_central(wandering(), GENERATOR)
    assert blend().score(final, {}, History(np.array([40, 41, 42]))).argmax() == 43


def test_where_histories_have_no_order_recency_and_the_next_item_are_given_up() -> None:
    chosen = Mixture.from_tensor(blend().train_central(WITHOUT_ORDER, GENERATOR)[MIXTURE])
    assert chosen.next_item < chosen.co_occurrence
    assert chosen.half_life > DEFAULT_MIXTURE.half_life


def test_later_rounds_keep_the_mixture_and_ask_for_no_gains() -> None:
    final = blend().train_central(WITHOUT_ORDER, GENERATOR)
    assert Mixture.from_tensor(final[MIXTURE]).next_item != DEFAULT_MIXTURE.next_item
    report = blend().train(final, {}, HISTORIES[0], blend().training, GENERATOR).report
    assert not report[GAINS].any()
    later = blend().train_central(HISTORIES, GENERATOR, base=final, rounds=1)
    np.testing.assert_array_equal(later[MIXTURE], final[MIXTURE])


def test_without_a_choice_the_first_round_leaves_nothing_out() -> None:
    only = blend(chooses_mixture=False).train_central(HISTORIES, GENERATOR, rounds=1)
    assert only[LEFT_OUT] == 0
    np.testing.assert_array_equal(only[MIXTURE], DEFAULT_MIXTURE.as_tensor())


@pytest.mark.parametrize("length", [0, 1])
def test_a_person_without_two_interactions_reports_no_gains(length: int) -> None:
    first = blend().train_central(HISTORIES, GENERATOR, rounds=1)
    report = blend().train(first, {}, History(np.arange(length)), blend().training, GENERATOR).report
    assert not report[GAINS].any()


def test_an_item_that_only_a_left_out_interaction_names_earns_nothing() -> None:
    """It would otherwise be recognised as one of the few that nobody in the fit chose."""
    alone = [*HISTORIES, History(np.append(HISTORIES[0].items[:8], ITEMS))]
    wider = Blend(BlendConfig(number_of_items=ITEMS + 1))
    first = wider.train_central(alone, GENERATOR, rounds=1)
    report = wider.train(first, {}, alone[-1], wider.training, GENERATOR).report
    assert not report[GAINS].any()
    scores = wider.score(first, {}, HISTORIES[0])
    assert scores[ITEMS] == scores.min()
