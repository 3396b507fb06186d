"""What a person sees while a simulation runs."""

import io

import pytest
from rich.console import Console

from simulation.population import Population
from simulation.screen import Screen
from simulation.simulation import Simulation
from tests.unit.recipes.data import people_with_taste
from tests.unit.simulation.tasks import ITEMS, manifest_of, small_mf


@pytest.mark.parametrize("is_terminal", [True, False])
def test_rounds_reports_and_metrics_are_shown_on_a_terminal_and_in_a_log(is_terminal: bool) -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=is_terminal, width=120)
    recipe = small_mf()
    simulation = Simulation(
        manifest_of(recipe, goal=9, rounds=2), Population.of_recipe(recipe, people_with_taste(9, ITEMS))
    )
    with Screen(console, rounds=2) as screen:
        for record in simulation.run():
            screen.show(record)
    shown = output.getvalue()
    assert "hr@10" in shown
    assert f"{record.metrics['hr@10']:.4f}" in shown
    assert "published" in shown
    assert ("2/2" in shown) == is_terminal  # the progress bar
