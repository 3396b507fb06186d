"""Many seeds, federated and central: `python -m benchmarks.quality.against_central --data FOLDER --recipe autoencoder`.

Between seeds NDCG differs by 5%, so that a difference of 1% wants dozens of them; see `federated_at_once`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from benchmarks.quality.at_once import federated_at_once
from benchmarks.quality.data import QualityData
from benchmarks.quality.entries import TABLES
from benchmarks.quality.paired import Difference
from benchmarks.quality.rows import score
from benchmarks.quality.training import Model, Stage, central, recipe_of
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.evaluation import mean_metric, ranks
from fedrec_recipes.gradient_recipe import GradientRecipe
from fedrec_recipes.recipe import Recipe


def main(
    data: Annotated[Path, typer.Option(help="The folder that holds the data sets in folders of their own.")],
    recipe: Annotated[list[str], typer.Option(help="Recipes that learn by gradients.")],
    only: Annotated[str, typer.Option(help=f"One of {', '.join(t.slug for t in TABLES)}.")] = "ml-100k",
    seeds: Annotated[int, typer.Option(min=2, help="Seeds of each.")] = 20,
    test: Annotated[bool, typer.Option("--test", help="Look at test items, not at validation items.")] = False,
) -> None:
    """Print a row of a table for each recipe."""
    console, progress = Console(width=200), Console(width=200, stderr=True)
    loaded = next(table for table in TABLES if table.slug == only).load(data)
    console.print("| recipe | seeds | federated | central | difference | in percent |\n|---|---|---|---|---|---|")
    for name in recipe:
        for difference in differences(loaded, name, seeds, looks_at_test=test):
            cells = difference.cells
            progress.print(f"{loaded.name}: {name}: so far {' | '.join(cells)}", markup=False, highlight=False)
        console.print(f"| {' | '.join([name, *cells])} |", markup=False, highlight=False)


def differences(data: QualityData, name: str, seeds: int, *, looks_at_test: bool) -> Iterator[Difference]:
    """Train with the shipped defaults, from the same first parameters; what is known after each seed but the first."""
    stage = Stage(name)
    recipe = recipe_of(stage, data.number_of_items)
    if not isinstance(recipe, GradientRecipe):
        raise typer.BadParameter(f"{name}: does not learn by gradients", param_hint="--recipe")
    measure = _on_test if looks_at_test else _on_validation
    federated, centrally = [], []
    for seed in range(seeds):
        federated.append(measure(recipe, federated_at_once(recipe, data.train, seed), data))
        centrally.append(measure(recipe, central(data, stage, seed).shared, data))
        if seed > 0:
            yield Difference.of(federated, centrally)


def _on_validation(recipe: Recipe[Any], shared: Tensors, data: QualityData) -> float:
    return mean_metric("ndcg@10", ranks(lambda history: recipe.score(shared, {}, history), data.validation))


def _on_test(recipe: Recipe[Any], shared: Tensors, data: QualityData) -> float:
    model = Model(recipe, shared, lambda _: {}, rounds=0, bytes_up=0.0, bytes_down=0.0)
    return float(np.mean(score(model, data).full.gains))


if __name__ == "__main__":
    typer.run(main)
