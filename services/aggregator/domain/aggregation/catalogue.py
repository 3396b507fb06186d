"""The rules that this aggregator knows, by name."""

from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from fedrec_protocol.base import reasons
from fedrec_protocol.manifest import AggregationRule, TaskManifest
from fedrec_protocol.tensors import Tensors
from services.aggregator.domain.aggregation.adaptive import FedAdagrad, FedAdam, FedYogi
from services.aggregator.domain.aggregation.fedavg import FedAvg
from services.aggregator.domain.aggregation.fedavgm import FedAvgM
from services.aggregator.domain.aggregation.measure import Measure
from services.aggregator.domain.aggregation.rule import RoundSum, Rule, Step
from services.aggregator.domain.aggregation.solve import Solve
from services.aggregator.domain.errors import InvalidManifest

RULES: dict[str, Rule[Any]] = {
    rule.name: rule for rule in (FedAvg(), FedAvgM(), FedAdagrad(), FedAdam(), FedYogi(), Solve(), Measure())
}


def check(choice: AggregationRule) -> None:
    """Refuse a rule that is not known, or parameters that it does not take.

    Raises:
        InvalidManifest: with the names of the known rules, or with what is wrong.
    """
    _params(choice)


def check_fits(manifest: TaskManifest) -> None:
    """Refuse a manifest that its rule cannot run.

    Raises:
        InvalidManifest: saying what to change.
    """
    choice = manifest.aggregation
    params = _params(choice)
    RULES[choice.rule].check(manifest, params)


def step(choice: AggregationRule, base: Tensors, total: RoundSum, state: Tensors) -> Step:
    """The next parameters by the chosen rule; see `Rule.step`."""
    return RULES[choice.rule].step(base, total, state, _params(choice))


def step_of_task(manifest: TaskManifest, base: Tensors, total: RoundSum, state: Tensors) -> Step:
    """The next parameters by the task's rule, with the rows of rare items as they were."""
    made, floor = step(manifest.aggregation, base, total, state), manifest.popularity_floor
    if floor is None or made.parameters is None:
        return made
    return replace(made, parameters=floor.publish(made.parameters, base, manifest.rounds.aggregation_goal))


def _params(choice: AggregationRule) -> Any:
    rule = RULES.get(choice.rule)
    if rule is None:
        raise InvalidManifest(f"aggregation rule {choice.rule!r} is not known; known are {', '.join(sorted(RULES))}")
    try:
        return rule.params_type.model_validate(choice.params)
    except ValidationError as error:
        raise InvalidManifest(f"parameters of aggregation rule {choice.rule!r}: {reasons(error)}") from error
