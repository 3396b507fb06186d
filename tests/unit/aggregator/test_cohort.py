"""The draw of a cohort, repeated with `printf '7:1:cli_ada' | sha256sum` and so on."""

from __future__ import annotations

from services.aggregator.domain.cohort import draw_cohort

PEOPLE = ["cli_ada", "cli_bob", "cli_eve", "cli_joe"]


def test_the_smallest_hashes_of_seed_round_and_client_win() -> None:
    assert draw_cohort(PEOPLE, seed=7, round_number=1, places=2) == ["cli_joe", "cli_ada"]
    assert draw_cohort(PEOPLE, seed=7, round_number=2, places=2) == ["cli_bob", "cli_ada"]
    assert draw_cohort(PEOPLE, seed=8, round_number=2, places=3) == ["cli_ada", "cli_bob", "cli_eve"]


def test_the_order_of_asking_and_asking_twice_change_nothing() -> None:
    drawn = draw_cohort(PEOPLE, seed=7, round_number=1, places=3)
    assert draw_cohort(PEOPLE[::-1] + PEOPLE, seed=7, round_number=1, places=3) == drawn


def test_where_there_is_room_everybody_is_drawn() -> None:
    assert set(draw_cohort(PEOPLE, seed=7, round_number=1, places=9)) == set(PEOPLE)
