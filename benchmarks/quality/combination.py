"""Train the members of a combined model by tasks of their own, and let devices choose the weights."""

from collections.abc import Sequence
from dataclasses import replace

from benchmarks.quality.data import QualityData
from benchmarks.quality.kept import Versions
from benchmarks.quality.training import Model, Stage, federated
from fedrec_recipes.combined import MEMBER_WEIGHTS, Combined, CombinedConfig


def combined(
    data: QualityData, members: Sequence[tuple[Stage, ...]], seed: int, *, is_refitted: bool, versions: Versions
) -> Model:
    """Devices choose weights by the validation item, which the members did not learn from.

    Args:
        data: Who learns from what.
        members: The chain of tasks of each.
        seed: Of all tasks.
        is_refitted: Whether members are then trained once more, with the validation item, and take these weights. There
            is nothing left then to choose versions by: the last of each chain is taken.
        versions: Members that were trained before.
    """
    trained = [versions.trained(data, chain, seed) for chain in members]
    choices = tuple(member.recipe.choice for member in trained)
    recipe = Combined(CombinedConfig(number_of_items=data.number_of_items, members=choices))
    task = Stage(recipe.name, {"members": [choice.model_dump() for choice in choices]}, holdout=0, rounds=1)
    found = federated(data, (task,), seed, base=recipe.combination([member.shared for member in trained]))
    if is_refitted:
        again = [versions.trained(data, tuple(map(_with_everything, chain)), seed) for chain in members]
        weights = found.shared[MEMBER_WEIGHTS].tolist()
        found = replace(found, shared=recipe.combination([member.shared for member in again], weights))
        trained += again
    return replace(
        found,
        rounds=found.rounds + sum(member.rounds for member in trained),
        bytes_up=found.bytes_up + sum(member.bytes_up for member in trained),
        bytes_down=found.bytes_down + sum(member.bytes_down for member in trained),
    )


def _with_everything(stage: Stage) -> Stage:
    return replace(stage, holdout=0, check_every=None)
