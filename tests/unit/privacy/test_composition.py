"""Privacy statements that add up."""

from typing import Any

import pytest

from services.aggregator.domain.privacy.composition import NotAStatement, composed


def statement(epsilon: Any, delta: Any, **more: Any) -> dict[str, Any]:
    return {"epsilon": epsilon, "delta": delta, "in_words": "noise of the server.", **more}


def test_epsilons_and_deltas_of_all_parts_add_up() -> None:
    both = composed([statement(1.5, 1e-5), statement(0.25, 1e-6)])
    assert both["epsilon"] == 1.75
    assert both["delta"] == pytest.approx(1.1e-5)
    assert "took part in all of them" in str(both["in_words"])
    assert "(epsilon = 1.75, delta = 1.1e-05)" in str(both["in_words"])
    assert str(both["in_words"]).endswith("Training 1: noise of the server. Training 2: noise of the server.")


def test_what_is_composed_already_stands_for_its_parts() -> None:
    three = composed([composed([statement(1.0, 1e-5), statement(2.0, 1e-5)]), statement(0.5, 1e-6)])
    assert three["epsilon"] == 3.5
    assert three["delta"] == pytest.approx(2.1e-5)
    assert three["parts"] == [statement(1.0, 1e-5), statement(2.0, 1e-5), statement(0.5, 1e-6)]


@pytest.mark.parametrize(
    ("first", "second", "of_both"),
    [
        ("replace-one-user", "replace-one-user", "replace-one-user"),
        ("add-or-remove-one-user", "replace-one-user", "zero-out-one-user"),
        ("add-or-remove-one-user", "zero-out-one-user", "zero-out-one-user"),
    ],
)
def test_together_parts_promise_what_each_of_them_does(first: str, second: str, of_both: str) -> None:
    both = composed([statement(1.0, 1e-5, neighbouring=first), statement(1.0, 1e-5, neighbouring=second)])
    assert both["neighbouring"] == of_both


@pytest.mark.parametrize(
    "wrong", [{}, statement("1", 1e-5), statement(-1.0, 1e-5), statement(1.0, True), statement(1.0, 1.0)]
)
def test_what_says_no_numbers_is_not_added_up(wrong: dict[str, Any]) -> None:
    with pytest.raises(NotAStatement):
        composed([statement(1.0, 1e-5), wrong])
