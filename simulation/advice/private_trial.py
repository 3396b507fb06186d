"""What a task with noise is worth: its own rounds, simulated with everybody, measured on validation items."""

import time
from collections.abc import Sequence

from fedrec_protocol.manifest import TaskManifest
from fedrec_recipes import catalogue
from fedrec_recipes.recipe import History
from simulation.advice.trial import Trial, held_out, trial_of
from simulation.advice.trials import Progress
from simulation.final_test import ranks_of
from simulation.population import Population
from simulation.simulation import Simulation


def private_trial(manifest: TaskManifest, histories: Sequence[History], *, seed: int, progress: Progress) -> Trial:
    """Simulate a private task and rank everybody's validation item.

    Nobody is left out to save time: noise weighs as much as there are people, so a part of them would not tell.

    Args:
        manifest: The task as it would be created, with its noise.
        histories: Everybody's, two interactions or more, without the test item; the last one validates.
        seed: Of the devices and of the intervals.
        progress: Told what is being done.
    """
    if manifest.privacy is None:
        raise ValueError(f"task {manifest.name!r} has no noise to measure the effect of")
    progress(f"{manifest.recipe.name} with noise: {len(histories)} people")
    started = time.perf_counter()
    recipe = catalogue.recipe(manifest.recipe)
    simulation = Simulation(manifest, Population.of_recipe(recipe, histories, seed=seed))
    for _ in simulation.run():
        pass
    trained = time.perf_counter()
    ranks = ranks_of(recipe, simulation.parameters, simulation.private_of, held_out(histories))
    return trial_of(
        f"{recipe.name} with noise",
        ranks,
        people=len(histories),
        items=recipe.config.number_of_items,
        training_seconds=trained - started,
        ranking_seconds=time.perf_counter() - trained,
        seed=seed,
    )
