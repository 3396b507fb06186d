"""Time-ordered splits for honest evaluation."""

from dataclasses import dataclass

from fedrec_recipes.evaluation import HeldOut
from fedrec_recipes.recipe import History


@dataclass(frozen=True)
class Split:
    """Who learns from what, and what comes next.

    `train` has one history per person. `validation` and `test` list only people whose history is long
    enough; a test case's history includes the validation item, which is known by then.
    """

    train: list[History]
    validation: list[HeldOut]
    test: list[HeldOut]
    train_and_validation: list[History]
    """For a final fit after all choices were made on validation; say so where results are shown."""
    keeps_seen: bool = False
    """Whether what a person had competes with what they did not: what comes next may be either."""


def leave_last_out(histories: list[History], *, keeps_seen: bool = False) -> Split:
    """Each person's last interaction is for the test, the second last for validation.

    People with fewer than three interactions only learn: nothing of theirs is held out.
    """
    long = {person for person, history in enumerate(histories) if len(history) >= 3}
    cut = [(2 if person in long else 0) for person in range(len(histories))]
    train = [history.without_last(count) for history, count in zip(histories, cut, strict=True)]
    refit = [history.without_last(count // 2) for history, count in zip(histories, cut, strict=True)]
    return Split(
        train=train,
        validation=[HeldOut(p, train[p], int(histories[p].items[-2])) for p in sorted(long)],
        test=[HeldOut(p, refit[p], int(histories[p].items[-1])) for p in sorted(long)],
        train_and_validation=refit,
        keeps_seen=keeps_seen,
    )
