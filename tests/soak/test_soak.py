"""A few operations of the soak in every home of objects; `./run soak` does them for as long as one likes."""

from __future__ import annotations

from itertools import islice

import pytest

from tests.soak.coverage import ALL
from tests.soak.homes import HomeKind
from tests.soak.operations import Verb, operations
from tests.soak.soak import Soak

OPERATIONS = 2


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("home", HomeKind)
def test_whatever_dies_each_acknowledged_report_is_in_one_sum_once_and_rounds_end(home: HomeKind) -> None:
    soak = Soak(home, seed=sorted(HomeKind).index(home), patience=10)  # somebody arrives at these, however slowly
    soak.run(seconds=300, most=OPERATIONS)
    assert soak.tally.operations == OPERATIONS
    assert soak.tally.stopped.total() > 0
    assert soak.tally.rounds["published"] > 0
    assert soak.tally.rounds["abandoned"] > 0
    assert soak.tally.reports > 0


def test_a_seed_repeats_its_list_of_operations() -> None:
    assert list(islice(operations("7"), 500)) == list(islice(operations("7"), 500))
    assert list(islice(operations("7"), 500)) != list(islice(operations("8"), 500))


def test_eight_hundred_operations_stop_every_step_in_every_way() -> None:
    done = [(operation.verb, operation.breakpoint_) for operation in islice(operations("7"), 800)]
    assert {pair for pair in done if pair[1] is not None} == set(ALL)
    assert {verb for verb, _ in done} == set(Verb)
