"""Whether `recommend-config` proposes the best there is: `python -m benchmarks.quality.advice --data FOLDER`.

Beside what is proposed, recipes that were rejected, or never tried, are trained on everybody. All figures are of
validation items: test items are not looked at.
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from benchmarks.quality.variations import VARIATIONS, varied
from fedrec.data.interactions import Interactions
from fedrec.data.opening import read_interactions
from fedrec_protocol.manifest import RecipeChoice
from fedrec_recipes import catalogue
from fedrec_recipes.recipe import Recipe
from simulation.advice.advice import Advice, advise_on
from simulation.advice.candidates import label
from simulation.advice.trial import Trial, try_recipe
from simulation.advice.trials import question_of
from simulation.advice.wishes import Wishes

SETS = {
    "ml-100k": "ml-100k",
    "ml-latest-small": "ml-latest-small",
    "LastFM": "s3rec/LastFM.txt",
    "Amazon Instant Video": "amazon-instant-video",
    "Amazon Beauty": "s3rec/Beauty.txt",
    "Gowalla": "gowalla-lightgcn",
    "ml-1m": "ml-1m",
}
"""Where each is in the folder of all."""
MOST_ITEMS_OF_SMALL = 4_000
"""Up to here models of items by items are compared."""
_SMALL = ("blend", "slit", "ease", "gfcf")
_ANY = ("popularity", "hashed-pairs", "sketched-slit", "sketched-gfcf", "als")


def main(
    data: Annotated[Path, typer.Option(help="The folder that holds the data sets in folders of their own.")],
    only: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(SETS)}. [default: all]")] = None,
    variation: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(VARIATIONS)}. [default: all]")] = None,
    minutes: Annotated[float, typer.Option(min=0, help="Time for the trials of one advice.")] = 4.0,
    people: Annotated[int, typer.Option(help="People at most; more are left out before anything else.")] = 2000,
) -> None:
    """Print a row of a table for each data set and variation."""
    console = Console(width=200)
    console.print(
        "| data | people, items | proposed | expected | measured | best of the others |\n|---|---|---|---|---|---|"
    )
    for name in only or SETS:
        interactions = read_interactions(data / SETS[name])
        for each in variation or VARIATIONS:
            made = _fewer(varied(interactions, each), people)
            with console.status(f"{name}, {each}"):
                console.print(_row(f"{name}, {each}", made, minutes), markup=False, highlight=False)


def _fewer(interactions: Interactions, people: int) -> Interactions:
    """Some of the people, drawn with one seed. The first of a file may have little in common: Beauty's have nothing."""
    number = len(interactions.user_ids)
    if number <= people:
        return interactions
    drawn = np.zeros(number, dtype=np.bool_)
    drawn[np.random.default_rng(0).permutation(number)[:people]] = True
    rows = drawn[interactions.users]
    places = np.cumsum(drawn) - 1
    return Interactions(
        places[interactions.users[rows]],
        interactions.items[rows],
        tuple(id_ for id_, is_drawn in zip(interactions.user_ids, drawn, strict=True) if is_drawn),
        interactions.item_ids,
    ).with_item_support(1)


def _row(name: str, interactions: Interactions, minutes: float) -> str:
    advice = advise_on(interactions, Wishes(data=Path(name), seconds=60 * minutes), lambda _: None)
    proposed = catalogue.recipe(advice.manifest.recipe)
    others = {label(each): each for each in _alternatives(advice.survey.items)}
    others.pop(label(proposed), None)
    measured = _measured(advice, interactions, proposed)
    best = max((_measured(advice, interactions, each) for each in others.values()), key=_ndcg)
    return (
        f"| {name} | {advice.survey.people:,}, {advice.survey.items:,} | `{label(proposed)}` | "
        f"{_figure(advice.expected)} | {_figure(measured)} | `{best.recipe}` {_figure(best)} |"
    )


def _alternatives(number_of_items: int) -> list[Recipe[Any]]:
    names = (*_ANY, *(_SMALL if number_of_items <= MOST_ITEMS_OF_SMALL else ()))
    return [catalogue.recipe(RecipeChoice(name=name, config={"number_of_items": number_of_items})) for name in names]


def _measured(advice: Advice, interactions: Interactions, recipe: Recipe[Any]) -> Trial:
    """A recipe on everybody and all items, as the trials measure it."""
    known = [history.without_last(1) for history in interactions.histories() if len(history) >= 3]
    question = question_of(known, advice.survey.items, advice.survey.order, 1, seed=0)
    return try_recipe(recipe, question.histories, seed=0)


def _ndcg(trial: Trial) -> float:
    return trial.metrics["ndcg@10"].mean


def _figure(trial: Trial) -> str:
    ndcg = trial.metrics["ndcg@10"]
    return f"{ndcg.mean:.4f} ({ndcg.low:.4f} to {ndcg.high:.4f})"


if __name__ == "__main__":
    typer.run(main)
