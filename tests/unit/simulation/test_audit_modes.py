"""The audit of every way to add noise: it does not refute an honest ledger, and it finds noise that is not there."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import norm

from fedrec_protocol.noise.discrete_gaussian import discrete_gaussian
from fedrec_protocol.noise.skellam import skellam
from fedrec_sdk import report
from services.aggregator.domain.privacy import task
from simulation import privacy
from simulation.audit.canaries import CanaryFigures, audit_canaries
from simulation.audit.local_canaries import Local, audit_local_canaries
from simulation.audit.modes import Adaptive, Central, Correlated, Distributed, Mode, Sampled
from simulation.audit.one_run import gaussian_separation
from tests.unit.simulation.test_audit import POPULATION, TASK

CANARIES = 500
AUDITED = dataclasses.replace(TASK, rounds=4)


def canaries(mode: Mode) -> CanaryFigures:
    if isinstance(mode, Local):
        return audit_local_canaries(AUDITED, mode, canaries=CANARIES, confidence=0.95)
    return audit_canaries(AUDITED, POPULATION, mode, canaries=CANARIES, confidence=0.95)


def sees_as_well_as(found: CanaryFigures, separation: float) -> bool:
    """Whether the AUC is that of Gaussians so many deviations apart, within four standard errors."""
    auc = found.rates.auc
    return abs(auc.mean - float(norm.cdf(separation / math.sqrt(2)))) < 2 * (auc.high - auc.low) / 1.96


@pytest.mark.parametrize("mode", [Central(2.0), Adaptive(2.0), Distributed(2.0), Local(2.0)])
def test_the_auditor_sees_a_canary_in_every_round_as_well_as_theory_allows(mode: Mode) -> None:
    found = canaries(mode)
    assert found.ledger_epsilon is not None
    # Four looks at noise of two clipping norms: 4 deviations / 2 / 2 = one deviation between the groups.
    assert sees_as_well_as(found, 1.0)
    assert 0 < found.epsilon_lower_bound < found.ledger_epsilon
    assert not found.refutes_the_ledger


def test_the_auditor_of_correlated_noise_undoes_the_correlation() -> None:
    found = canaries(Correlated(2.0))
    # Rounds 1 and 3 of four, each with a column of squared norm 1 + 1/4: sqrt(2.5) / 2. Reading sums alone would give
    # less: the noise of the rows they are in is not independent of the other rows'.
    assert sees_as_well_as(found, math.sqrt(2.5) / 2)
    assert found.ledger_epsilon is not None
    assert gaussian_separation(found.ledger_epsilon, TASK.target_delta) == pytest.approx(math.sqrt(2.5) / 2, rel=1e-3)


def test_looking_for_the_canarys_own_columns_beats_adding_up_what_is_published() -> None:
    mode, fresh = Correlated(1.0), np.random.default_rng(3).normal(size=(8, 4000))
    noise = np.zeros_like(fresh)
    for row in range(8):
        noise[row] = fresh[row] - (0.5 * noise[row - 1] if row else 0.0)
    took_part = np.zeros((8, 4000))
    took_part[::2, :2000] = 1.0
    residuals = noise + took_part

    def separation(scores: Any) -> float:
        inside, outside = scores[:2000], scores[2000:]
        return float((inside.mean() - outside.mean()) / outside.std())

    assert separation(mode.scores(residuals)) == pytest.approx(math.sqrt(4 * 1.25), rel=0.05)
    assert separation(residuals.sum(axis=0)) < 0.97 * math.sqrt(4 * 1.25)


def test_sampled_canaries_are_harder_to_see_than_those_that_are_in_every_round() -> None:
    sampled, always = canaries(Sampled(1.0)), canaries(Central(1.0))
    assert sampled.rates.auc.high < always.rates.auc.low
    assert sampled.ledger_epsilon is not None
    assert always.ledger_epsilon is not None
    assert sampled.ledger_epsilon < always.ledger_epsilon
    assert not sampled.refutes_the_ledger


def less(draw: Callable[..., Any]) -> Callable[..., Any]:
    """The same noise with a thousandth of its variance."""
    return lambda variance, *rest: draw(math.ceil(variance / 1000), *rest)


@pytest.mark.parametrize(
    ("mode", "module", "name", "honest"),
    [
        (Central(4.0), task, "discrete_gaussian", discrete_gaussian),
        (Adaptive(4.0), task, "discrete_gaussian", discrete_gaussian),
        (Correlated(4.0), task, "discrete_gaussian", discrete_gaussian),
        (Sampled(2.0), task, "discrete_gaussian", discrete_gaussian),
        (Distributed(4.0), privacy, "skellam", skellam),
    ],
)
def test_noise_that_is_much_less_than_what_was_charged_is_found(
    mode: Mode, module: Any, name: str, honest: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, name, less(honest))
    assert canaries(mode).refutes_the_ledger


def test_local_noise_that_is_much_less_than_what_was_charged_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "locally_private", lambda vector, **_: vector)
    assert canaries(Local(4.0)).refutes_the_ledger


def test_a_sample_that_is_no_sample_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privacy, "draw_all", lambda enrolled, *_: list(enrolled))
    assert canaries(Sampled(1.0, probability=0.002)).refutes_the_ledger


def test_the_distance_that_a_price_allows_is_that_of_the_gaussian() -> None:
    # z = 1 for five rounds is a distance of sqrt(5); dp-accounting prices it at 11.5 for delta 1e-5.
    assert gaussian_separation(11.5, 1e-5) == pytest.approx(math.sqrt(5), rel=0.01)
    assert gaussian_separation(None, 1e-5) == 20.0
    assert gaussian_separation(0.0, 1e-5) < 0.01
