"""`fedrec tune` from data to a manifest: Optuna proposes, simulated devices measure."""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import JsonValue

from fedrec.data.choice import FOUND, ColumnChoice
from fedrec.data.interactions import DataError
from fedrec.data.opening import read_interactions
from fedrec.data.split import leave_last_out
from fedrec.manifests import manifest_for
from fedrec.refused import Refused
from fedrec_protocol.manifest import RecipeChoice, RoundPolicy, TaskManifest
from fedrec_protocol.messages import RoundKind
from fedrec_recipes import catalogue
from fedrec_recipes.catalogue import InvalidRecipeConfig
from fedrec_recipes.recipe import History
from services.aggregator.domain.errors import InvalidManifest
from simulation.population import Population
from simulation.results import MissingExtra
from simulation.simulation import Simulation
from simulation.tuning.space import LEARNING_RATE, Range, search_space

if TYPE_CHECKING:
    from optuna import Trial

METRIC = "ndcg@10"
"""What is maximised."""

_UNPRUNED_TRIALS = 5


@dataclass(frozen=True)
class Search:
    """What can be chosen."""

    data: Path
    recipe: str
    trials: int
    config: dict[str, JsonValue] = field(default_factory=dict)
    """Fields of the configuration that are not searched."""
    rounds: int | None = None
    """Training rounds of a trial; None takes what is usual for the recipe."""
    participants: int | None = None
    """The first so many people with three interactions or more; None takes all."""
    minimum_support: int = 1
    """Items with fewer interactions are left out."""
    name: str = "recommender"
    """Of the task and of its model."""
    seed: int = 0
    columns: ColumnChoice = FOUND
    """Which column of the data is what."""


@dataclass(frozen=True)
class Measured:
    """One trial that ran to its end, or was given up."""

    number: int
    values: dict[str, JsonValue]
    """The hyperparameters that were searched."""
    ndcg: float | None
    """NDCG@10 on validation items; None for a trial that was given up as worse than half of the others."""


@dataclass(frozen=True)
class Found:
    """What came of a search."""

    manifest: TaskManifest
    """A task with the best hyperparameters."""
    best: Measured
    default: float
    """NDCG@10 on validation items with the defaults: the first trial."""


def run_search(search: Search, progress: Callable[[Measured], None]) -> Found:
    """Try the defaults, then what Optuna's TPE sampler proposes (Bergstra et al. 2011), a simulated task each.

    Everybody's validation item is measured by their simulated device, as the SDK does; the test item is on no device.
    The same seed gives the same trials.

    Raises:
        MissingExtra: Optuna is not installed.
        DataError: the data cannot be read, or nobody has three interactions.
        UnknownRecipe, InvalidRecipeConfig: there is none such.
        Refused: a recipe without anything to search, or whose defaults would not run.
    """
    if importlib.util.find_spec("optuna") is None:
        raise MissingExtra("optuna not installed: pip install 'fedrec[tuning]'")
    import optuna  # noqa: PLC0415 - optional, and slow to import

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    histories, number_of_items = _read(search)
    config: dict[str, JsonValue] = {**search.config, "number_of_items": number_of_items}
    space = search_space(catalogue.recipe(RecipeChoice(name=search.recipe, config=config)), search.config)
    if not space:
        raise Refused(f"recipe {search.recipe!r} has nothing to search")
    measured: list[Measured] = []

    def objective(trial: "Trial") -> float:
        values = {name: each.suggest(trial, name) for name, each in space.items()}
        try:
            manifest = _manifest(search, config, values, len(histories))
            return _validate(manifest, histories, search.seed, trial)
        except (InvalidManifest, InvalidRecipeConfig) as refused:
            raise optuna.TrialPruned(str(refused)) from refused

    def record(_: object, trial: "optuna.trial.FrozenTrial") -> None:
        is_complete = trial.state is optuna.trial.TrialState.COMPLETE
        measured.append(Measured(trial.number, dict(trial.params), trial.value if is_complete else None))
        progress(measured[-1])

    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=search.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED_TRIALS),
    )
    study.enqueue_trial(_defaults(space))
    study.optimize(objective, n_trials=search.trials, callbacks=[record])
    best, default = measured[study.best_trial.number], measured[0].ndcg
    if default is None:
        raise Refused(f"recipe {search.recipe!r} with its defaults is refused by the aggregator")
    return Found(_manifest(search, config, best.values, len(histories)), best, default)


def _read(search: Search) -> tuple[list[History], int]:
    """Everybody's history without the test item, and the size of the catalogue."""
    interactions = read_interactions(search.data, search.columns).with_item_support(search.minimum_support)
    histories = [history for history in interactions.histories() if len(history) >= 3][: search.participants]
    if not histories:
        raise DataError(f"{search.data}: nobody has three interactions")
    return leave_last_out(histories).train_and_validation, interactions.number_of_items


def _defaults(space: dict[str, Range]) -> dict[str, float]:
    return {name: int(each.default) if each.is_whole else each.default for name, each in space.items()}


def _manifest(search: Search, config: dict[str, JsonValue], values: dict[str, JsonValue], people: int) -> TaskManifest:
    own = {name: value for name, value in values.items() if name != LEARNING_RATE}
    recipe: Any = catalogue.recipe(RecipeChoice(name=search.recipe, config={**config, **own}))
    manifest = manifest_for(
        recipe,
        name=search.name,
        rounds=RoundPolicy(aggregation_goal=people, minimum_reports=max(people // 2, 1)),
        round_budget=search.rounds or recipe.usual_rounds,
        seed=search.seed,
    )
    if LEARNING_RATE not in values:
        return manifest
    training = manifest.training.model_copy(update={LEARNING_RATE: values[LEARNING_RATE]})
    return manifest.model_copy(update={"training": training})


def _validate(manifest: TaskManifest, histories: list[History], seed: int, trial: "Trial") -> float:
    """NDCG@10 of the last version, as devices measured it; hopeless trials are given up between rounds."""
    import optuna  # noqa: PLC0415 - as above

    recipe = catalogue.recipe(manifest.recipe)
    simulation = Simulation(manifest, Population.of_recipe(recipe, histories, seed=seed))
    value = 0.0
    for record in simulation.run():
        value = record.metrics.get(METRIC, value)
        trial.report(value, record.number)
        if record.kind is RoundKind.TRAINING and trial.should_prune():
            raise optuna.TrialPruned
    return value
