"""`fedrec simulate` from data to results."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console

from fedrec.data.content import read_content
from fedrec.data.interactions import DataError, Interactions
from fedrec.data.opening import read_interactions
from fedrec.data.split import Split, leave_last_out
from fedrec.manifests import read_manifest
from fedrec_protocol.manifest import RecipeChoice, TaskManifest
from fedrec_recipes import catalogue
from fedrec_recipes.combined import MEMBER_WEIGHTS, Combined, CombinedConfig
from fedrec_recipes.ease import Ease, EaseConfig
from fedrec_recipes.recipe import Recipe
from fedrec_recipes.two_tower import TwoTower
from simulation.advice.candidates import usual_recipe
from simulation.advice.survey import SORTED_BY_ITEM, Order, order_of, remark_on_rare_items
from simulation.final_test import TestRow, central_row, federated_row, popularity_row
from simulation.options import Options
from simulation.results import require_writers, write_results
from simulation.screen import quality_table
from simulation.simulated_task import SimulatedTask, simulate_task

MOST_ITEMS_OF_EASE = 5_000
"""EASE is a baseline up to here: solving it takes cubic time."""


def run_experiment(options: Options, console: Console) -> list[TestRow]:
    """Read, simulate, test once, write; returns the rows of the closing table.

    Raises:
        DataError: the data cannot be read, or nobody has three interactions.
        Refused: an unknown attack, or a trace of devices that is none.
        UnknownRecipe, InvalidRecipeConfig, UnknownMetric: there is none such.
        ValidationError: a policy that contradicts itself.
        InvalidManifest: what an aggregator would refuse to run.
        NobodyReports: so few reports come in time that the task does not end.
        ImportError: an optional extra is missing.
    """
    require_writers()
    source = _read(options, console)
    given = [_given_manifest(path, source.number_of_items) for path in options.manifests]
    recipe = _together(given) if given else _chosen(options, source)
    split = source.split(keeps_seen=recipe.keeps_seen)
    members = [simulate_task(options, *member, split, console) for member in _members(recipe, given)]
    base, terms = None, options
    if isinstance(recipe, Combined):
        base = recipe.combination([each.simulation.parameters for each in members])
        # What is said of training is said of the members: weights are chosen by the recipe's own terms.
        terms = replace(options, rounds=None, training={}, clipping_norm=None, patience=None)
    task = simulate_task(terms, recipe, given[0] if len(given) == 1 else None, split, console, base=base)
    if isinstance(recipe, Combined):
        weights = zip(recipe.members, task.simulation.parameters[MEMBER_WEIGHTS].tolist(), strict=True)
        console.print("Weights: " + ", ".join(f"{member.name} {weight:g}" for member, weight in weights))
    rows = _rows(options, task, members, split)
    console.print(quality_table(rows))
    for place, member in enumerate(members):
        _write(options.out / f"member{place}-{member.recipe.name}", member, [rows[1 + place]], console)
    _write(options.out, task, rows, console)
    return rows


def _together(given: Sequence[TaskManifest]) -> Recipe[Any]:
    """The recipe of a manifest; of several, what combines theirs."""
    if len(given) == 1:
        return catalogue.recipe(given[0].recipe)
    members = [manifest.recipe for manifest in given]
    items = members[0].config["number_of_items"]
    return Combined(CombinedConfig.model_validate({"number_of_items": items, "members": members}))


def _members(recipe: Recipe[Any], given: Sequence[TaskManifest]) -> Sequence[tuple[Recipe[Any], TaskManifest | None]]:
    """What is trained first, by tasks of its own, and those that are given."""
    if not isinstance(recipe, Combined):
        return ()
    manifests = given if len(given) > 1 else itertools.repeat(None)
    return [(member, manifest) for member, manifest in zip(recipe.members, manifests, strict=False)]


def _write(folder: Path, task: SimulatedTask, rows: list[TestRow], console: Console) -> None:
    written = write_results(folder, task.manifest, task.simulation.parameters, task.records, rows)
    console.print(f"Results in {folder}: {', '.join(path.name for path in written)}", soft_wrap=True)


@dataclass(frozen=True)
class _Source:
    """What was read."""

    interactions: Interactions
    order: Order
    most: int | None
    """People at most."""

    @property
    def number_of_items(self) -> int:
        """Size of the catalogue."""
        return self.interactions.number_of_items

    def split(self, *, keeps_seen: bool) -> Split:
        """What everybody with three different items learns and is asked."""
        new = self.interactions.histories()
        histories = self.interactions.histories_with_repeats() if keeps_seen else new
        long = [history for history, different in zip(histories, new, strict=True) if len(different) >= 3]
        return leave_last_out(long[: self.most], keeps_seen=keeps_seen)


def _read(options: Options, console: Console) -> _Source:
    with console.status(f"reading {options.data}"):
        interactions = read_interactions(options.data, options.columns).with_item_support(options.minimum_support)
        everybody = interactions.histories()
    for remark in interactions.remarks:
        console.print(remark, soft_wrap=True, highlight=False, markup=False)
    if (rare := remark_on_rare_items(interactions)) is not None:
        console.print(rare, soft_wrap=True, highlight=False)
    order = order_of(interactions, everybody)
    if order is Order.ITEM:
        console.print(f"{SORTED_BY_ITEM}: figures on last items say nothing.")
    if all(len(history) < 3 for history in everybody):
        raise DataError(f"{options.data}: nobody has three different items")
    return _Source(interactions, order, options.participants)


def _chosen(options: Options, source: _Source) -> Recipe[Any]:
    """The recipe, with what the data knows: how many items there are, and what is known of them."""
    config = {**options.config, "number_of_items": source.number_of_items}
    name = options.recipe
    if name is None:
        histories = source.split(keeps_seen=False).train
        usual = usual_recipe(source.number_of_items, histories, source.order).choice
        name, config = usual.name, {**usual.config, **config}
    if name == TwoTower.name and "content" not in config:
        config = {**read_content(options.data, source.interactions.item_ids).as_config(), **config}
    return catalogue.recipe(RecipeChoice(name=name, config=config))


def _given_manifest(path: Path, number_of_items: int) -> TaskManifest:
    manifest = read_manifest(path)
    agreed = manifest.recipe.config.get("number_of_items")
    if agreed != number_of_items:
        raise DataError(
            f"{path} is for {agreed} items, and the data has {number_of_items}: "
            "give the --minimum-support that it was made with"
        )
    return manifest


def _rows(options: Options, task: SimulatedTask, members: list[SimulatedTask], split: Split) -> list[TestRow]:
    """The model, what it is combined from, and the baselines."""
    metrics, seed = options.metrics, options.seed
    models = [(each.recipe, each.simulation.parameters, each.simulation.private_of) for each in (task, *members)]
    rows = [federated_row(*model, split, metrics=metrics, seed=seed) for model in models]
    recipe = task.recipe
    number_of_items = recipe.config.number_of_items
    if options.baselines:
        rows.append(popularity_row(number_of_items, split, metrics=metrics, seed=seed))
        rows.append(central_row(recipe, split, metrics=metrics, seed=seed))
        if not isinstance(recipe, Ease) and number_of_items <= MOST_ITEMS_OF_EASE:
            ease = Ease(EaseConfig(number_of_items=number_of_items))
            rows.append(central_row(ease, split, metrics=metrics, seed=seed))
    return rows
