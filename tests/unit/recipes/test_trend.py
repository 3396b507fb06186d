"""The trend says which items come up more among the latest interactions than their counts let expect."""

import numpy as np
import pytest

from fedrec_recipes.trend import latest_items, trend


def test_the_latest_items_are_those_of_the_last_three_interactions_each_once() -> None:
    assert latest_items(np.array([5, 9, 2, 7, 2])).tolist() == [2, 7]
    assert latest_items(np.array([4, 1])).tolist() == [1, 4]
    assert latest_items(np.array([], dtype=np.int64)).tolist() == []


def test_the_trend_is_the_logarithm_of_latest_over_expected_count_with_ten_of_either_before() -> None:
    # A fifth of all 100 interactions are among the latest; so 6, 12 and 2 are expected where there are 16, 2 and 2.
    found = trend(np.array([16.0, 2.0, 2.0]), np.array([30.0, 60.0, 10.0]))
    np.testing.assert_allclose(found, np.log([26 / 16, 12 / 22, 1.0]), rtol=1e-6)


def test_an_item_without_interactions_has_no_trend() -> None:
    assert trend(np.array([3.0, 0.0]), np.array([4.0, 0.0]))[1] == 0
    np.testing.assert_array_equal(trend(np.zeros(2), np.zeros(2)), [0, 0])


@pytest.mark.parametrize("people", [20, 2000])
def test_few_interactions_say_less_than_many_of_the_same_share(people: int) -> None:
    found = trend(np.array([0.3, 0.1]) * people, np.array([1.0, 1.0]) * people)
    assert 0 < found[0] < np.log(1.5)  # 0.3 where 0.2 are expected
    assert (found[0] > 0.9 * np.log(1.5)) == (people == 2000)


def test_a_count_that_noise_made_negative_is_taken_as_none() -> None:
    found = trend(np.array([16.0, -500.0, 2.0]), np.array([30.0, 60.0, -700.0]))
    np.testing.assert_array_equal(found, trend(np.array([16.0, 0.0, 2.0]), np.array([30.0, 60.0, 0.0])))
    assert np.isfinite(found).all()
