"""Aggregation rules against the papers' formulas, one number at a time in plain Python."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from fedrec_protocol.manifest import AggregationRule
from fedrec_protocol.tensors import Tensors
from services.aggregator.domain.aggregation import catalogue
from services.aggregator.domain.aggregation.rule import RoundSum, Rule, Step
from services.aggregator.domain.errors import InvalidManifest

BASE = [0.5, -1.0, 2.0, 0.0]
# Three rounds of three participants each: (number of examples, local parameters minus base).
ROUNDS = [
    [(1, [0.1, 0.2, -0.3, 0.0]), (5, [0.4, -0.2, 0.1, 0.0]), (2, [-0.6, 0.0, 0.7, 0.0])],
    [(3, [-0.1, 0.5, 0.3, 0.0]), (1, [0.2, 0.2, -0.9, 0.0]), (7, [0.3, -0.1, 0.05, 0.0])],
    [(2, [0.0, 0.1, 0.1, 0.0]), (2, [-0.7, 0.3, 0.2, 0.0]), (9, [0.1, 0.1, -0.4, 0.0])],
]

Participant = tuple[int, list[float]]
Slow = Callable[[float, float, dict[str, float]], float]
MEAN_RULES = sorted(set(catalogue.RULES) - {"measure", "solve"})


def round_sum(participants: list[Participant]) -> RoundSum:
    total = sum(np.float64(n) * np.array(delta) for n, delta in participants)
    totals: Mapping[str, Any] = {"items": np.asarray(total).reshape(2, 2)}
    return RoundSum(totals, sum(n for n, _ in participants), len(participants))


def run(rule: str, **params: float) -> list[float]:
    choice = AggregationRule(rule=rule, params=dict(params))
    parameters: Tensors = {"items": np.array(BASE).reshape(2, 2)}
    state: Tensors = {}
    for participants in ROUNDS:
        step = catalogue.step(choice, parameters, round_sum(participants), state)
        parameters, state = learnt(step), step.state
    return [float(value) for value in parameters["items"].ravel()]


def learnt(step: Step) -> Tensors:
    assert step.parameters is not None
    return step.parameters


def run_slowly(step: Slow) -> list[float]:
    """`step(value, mean delta, memory)` is a paper's server update of one coordinate."""
    result = []
    for index, start in enumerate(BASE):
        value = start
        memory: dict[str, float] = {}
        for participants in ROUNDS:
            n = sum(n_k for n_k, _ in participants)
            value = step(value, sum(n_k / n * delta[index] for n_k, delta in participants), memory)
        result.append(value)
    return result


def test_fedavg_is_the_weighted_mean_of_the_participants_parameters() -> None:
    """McMahan et al. 2017, algorithm 1: w_{t+1} = sum_k (n_k / n) w^k_{t+1}."""
    theta = list(BASE)
    for participants in ROUNDS:
        n = sum(n_k for n_k, _ in participants)
        theta = [
            sum(n_k / n * (theta[index] + delta[index]) for n_k, delta in participants) for index in range(len(theta))
        ]
    assert run("fedavg") == pytest.approx(theta, rel=1e-12)


def test_fedavg_with_a_learning_rate_moves_that_share_of_the_way() -> None:
    expected = run_slowly(lambda value, delta, memory: value + 0.25 * delta)
    assert run("fedavg", learning_rate=0.25) == pytest.approx(expected, rel=1e-12)


def test_fedavgm_is_the_papers_momentum() -> None:
    """Hsu, Qi and Brown 2019, section 4.3: v <- beta v + delta, w <- w - v with delta = -(mean delta)."""

    def step(value: float, delta: float, memory: dict[str, float]) -> float:
        memory["v"] = 0.8 * memory.get("v", 0.0) - delta
        return value - 0.5 * memory["v"]

    assert run("fedavgm", momentum=0.8, learning_rate=0.5) == pytest.approx(run_slowly(step), rel=1e-12)


def adaptive(second: Callable[[float, float], float], eta: float, beta: float, tau: float) -> Slow:
    """Reddi et al. 2021, algorithm 2, with v_{-1} = tau**2 and m_{-1} = 0."""

    def step(value: float, delta: float, memory: dict[str, float]) -> float:
        memory["m"] = beta * memory.get("m", 0.0) + (1 - beta) * delta
        memory["v"] = second(memory.get("v", tau * tau), delta * delta)
        return value + eta * memory["m"] / (math.sqrt(memory["v"]) + tau)

    return step


def sign(value: float) -> float:
    return (value > 0) - (value < 0)


def test_fedadagrad_is_the_papers() -> None:
    expected = run_slowly(adaptive(lambda v, d2: v + d2, 0.1, 0.9, 0.001))
    assert run("fedadagrad") == pytest.approx(expected, rel=1e-12)


def test_fedadam_is_the_papers() -> None:
    expected = run_slowly(adaptive(lambda v, d2: 0.95 * v + 0.05 * d2, 0.2, 0.5, 0.01))
    assert run("fedadam", learning_rate=0.2, beta_1=0.5, beta_2=0.95, tau=0.01) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("rule", ["fedadam", "fedadagrad", "fedyogi"])
def test_a_statistic_beside_the_parameters_of_an_adaptive_rule_moves_by_the_plain_mean(rule: str) -> None:
    choice = AggregationRule(rule=rule, params={"averaged": ["items"]})
    step = catalogue.step(choice, {"items": np.array(BASE).reshape(2, 2)}, round_sum(ROUNDS[0]), {})
    n = sum(n_k for n_k, _ in ROUNDS[0])
    mean = [BASE[index] + sum(n_k / n * delta[index] for n_k, delta in ROUNDS[0]) for index in range(4)]
    assert step.parameters is not None
    assert step.parameters["items"].ravel() == pytest.approx(mean)
    assert not step.state


def test_fedyogi_is_the_papers() -> None:
    expected = run_slowly(adaptive(lambda v, d2: v - 0.05 * d2 * sign(v - d2), 0.2, 0.5, 0.01))
    assert run("fedyogi", learning_rate=0.2, beta_1=0.5, beta_2=0.95, tau=0.01) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", MEAN_RULES)
def test_every_rule_keeps_names_shapes_and_element_types(name: str) -> None:
    base = {"items": np.array(BASE, np.float32).reshape(2, 2)}
    step = catalogue.step(AggregationRule(rule=name), base, round_sum(ROUNDS[0]), {})
    assert {k: (v.shape, v.dtype) for k, v in learnt(step).items()} == {"items": ((2, 2), np.dtype(np.float32))}
    assert isinstance(catalogue.RULES[name], Rule)
    assert catalogue.RULES[name].__doc__


@pytest.mark.parametrize("name", MEAN_RULES)
def test_every_rule_stays_where_it_is_when_nobody_learnt_anything(name: str) -> None:
    base = {"items": np.array(BASE, np.float32).reshape(2, 2)}
    nothing: list[Participant] = [(3, [0.0] * 4)]
    step = catalogue.step(AggregationRule(rule=name), base, round_sum(nothing), {})
    np.testing.assert_array_equal(learnt(step)["items"], base["items"])


@pytest.mark.parametrize(
    ("rule", "params"),
    [
        ("fedmagic", {}),
        ("fedavg", {"momentum": 0.9}),
        ("fedavg", {"learning_rate": 0}),
        ("fedavgm", {"momentum": 1.0}),
        ("fedavgm", {"momentum": "high"}),
        ("fedadam", {"tau": 0}),
        ("fedadam", {"beta_2": 1}),
    ],
)
def test_unknown_rules_and_parameters_are_refused_in_words(rule: str, params: dict[str, Any]) -> None:
    with pytest.raises(InvalidManifest, match=rule):
        catalogue.check(AggregationRule(rule=rule, params=params))
