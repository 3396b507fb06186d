"""The audit finds what leaks, finds nothing where nothing leaks, and never refutes an honest ledger."""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from typer.testing import CliRunner, Result

from fedrec.cli import app
from fedrec.refused import Refused
from fedrec_protocol.noise.discrete_gaussian import discrete_gaussian
from fedrec_recipes.ease import Ease, EaseConfig
from fedrec_recipes.mf import MatrixFactorisation, MatrixFactorisationConfig
from fedrec_recipes.recipe import History
from services.aggregator.domain.privacy import task
from simulation.audit.canaries import CanaryFigures, audit_canaries
from simulation.audit.figures import AuditFigures
from simulation.audit.membership import audit_membership
from simulation.audit.modes import Central, Exact
from simulation.audit.one_run import epsilon_lower_bound, guesses_for, p_value, right_guesses
from simulation.audit.rare_rows import audit_rare_rows
from simulation.audit.rates import Rates, auc_of, true_positive_rate
from simulation.audit.reports import audit_reports
from simulation.audit.task import AuditedTask
from simulation.population import Population
from tests.unit.recipes.data import people_with_taste

PEOPLE, ITEMS = 40, 120
RECIPE = MatrixFactorisation(MatrixFactorisationConfig(number_of_items=ITEMS, dimension=4))
POPULATION = Population.of_recipe(RECIPE, people_with_taste(PEOPLE, ITEMS), seed=1, holdout=0)
TASK = AuditedTask(RECIPE, rounds=2, clipping_norm=3.0, target_delta=1e-5, seed=3)


def canaries(noise_multiplier: float | None) -> CanaryFigures:
    mode = Exact() if noise_multiplier is None else Central(noise_multiplier)
    return audit_canaries(TASK, POPULATION, mode, canaries=300, confidence=0.95)


def test_a_plain_report_tells_which_items_and_whose_and_a_masked_one_neither() -> None:
    plain, masked, noised = audit_reports(TASK, POPULATION, local_multipliers=[5.0])
    assert plain.had_item.auc.mean > 0.95
    assert plain.whose_report.auc.mean > 0.95
    assert plain.whose_report.found_at_one_percent == pytest.approx(1.0, abs=0.1)
    for hidden in (masked, noised):
        assert hidden.had_item.auc.is_chance()
        assert hidden.whose_report.auc.is_chance()
        assert hidden.had_item.auc.high - hidden.had_item.auc.low < 0.1  # at chance, and measured well enough to say so
        # Of the people's 300 items or so one in a hundred is found at one in a hundred, give or take four deviations.
        assert hidden.had_item.found_at_one_percent == pytest.approx(0.01, abs=0.025)


def test_exact_sums_tell_who_took_part_and_noise_hides_it() -> None:
    exact = audit_membership(TASK, POPULATION, Exact())
    assert exact.from_all_versions.auc.mean == pytest.approx(1.0)
    noised = audit_membership(TASK, POPULATION, Central(50.0))
    assert noised.from_all_versions.auc.is_chance()
    assert noised.from_last_version.auc.is_chance()


def test_without_noise_the_canaries_refute_any_small_epsilon() -> None:
    found = canaries(None)
    assert found.right_guesses == found.guesses
    assert found.ledger_epsilon is None
    # Nothing but right guesses: (e^eps / (1 + e^eps))**guesses = 0.05, but for delta.
    accuracy = 0.05 ** (1 / found.guesses)
    assert found.epsilon_lower_bound == pytest.approx(math.log(accuracy / (1 - accuracy)), rel=0.1)


@pytest.mark.parametrize("noise_multiplier", [0.5, 1.0, 2.0, 8.0])
def test_the_lower_bound_stays_below_the_ledger_and_the_estimate_near_it(noise_multiplier: float) -> None:
    found = canaries(noise_multiplier)
    assert found.ledger_epsilon is not None
    assert found.epsilon_estimate is not None
    assert found.epsilon_lower_bound < found.ledger_epsilon
    # 300 canaries give the separation of two Gaussians to about a tenth of its unit.
    separation = math.sqrt(TASK.rounds) / noise_multiplier
    assert found.epsilon_estimate == pytest.approx(found.ledger_epsilon, rel=max(0.25, 0.35 / separation))
    assert not found.refutes_the_ledger


def test_noise_that_is_much_less_than_the_ledger_says_is_found() -> None:
    honest, spoilt = canaries(4.0), canaries(0.2)
    claimed = dataclasses.replace(spoilt, ledger_epsilon=honest.ledger_epsilon, noise_multiplier=4.0)
    figures = AuditFigures({}, [], [], [honest, claimed], [])
    (leak,) = figures.leaks()
    assert "noise multiplier 4" in leak


def test_the_p_value_without_delta_is_the_binomial_tail() -> None:
    # Randomised response with e^eps = 3 is right three times of four; all of four: (3/4)**4.
    assert p_value(canaries=9, guesses=4, right=4, epsilon=math.log(3), delta=0.0) == pytest.approx(0.75**4)


def test_delta_adds_what_it_can_move_over_the_threshold() -> None:
    # Four of four right: the largest of P[3]/1, P[2..3]/2, ... is P[3] = 4 * (3/4)**3 / 4, twice m delta times.
    with_delta = p_value(canaries=10, guesses=4, right=4, epsilon=math.log(3), delta=1e-3)
    assert with_delta == pytest.approx(0.75**4 + 2 * 10 * 1e-3 * 4 * 0.75**3 * 0.25)


def test_the_bound_is_valid_for_randomised_response_with_its_confidence() -> None:
    generator, epsilon, refuted = np.random.default_rng(5), 1.0, 0
    for _ in range(200):
        coins = generator.random(60) < 0.5
        scores = np.where(generator.random(60) < 1 / (1 + math.exp(-epsilon)), coins, ~coins) + generator.random(60) / 9
        right = right_guesses(scores, coins, 40)
        bound = epsilon_lower_bound(canaries=60, guesses=40, right=right, delta=0.0, confidence=0.9)
        refuted += bound > epsilon
    assert refuted <= 200 * 0.1 + 3 * math.sqrt(200 * 0.1 * 0.9)


def test_more_canaries_are_guessed_where_they_are_easier_to_tell_apart() -> None:
    counts = [guesses_for(1000, separation, delta=1e-5, confidence=0.95) for separation in (0.5, 2.0, 10.0)]
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


def test_the_interval_of_an_auc_holds_the_textbook_value_as_often_as_it_says() -> None:
    generator, held = np.random.default_rng(0), 0
    for _ in range(300):
        found = auc_of(generator.normal(1.0, 1.0, 80), generator.normal(0.0, 1.0, 100))
        held += found.low < norm.cdf(1 / math.sqrt(2)) < found.high
    assert held / 300 == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 300))


def test_what_is_found_at_a_false_positive_rate_is_the_textbook_value_for_gaussian_scores() -> None:
    generator = np.random.default_rng(1)
    rates = Rates.of(generator.normal(2.0, 1.0, 40_000), generator.normal(0.0, 1.0, 100_000))
    assert rates.found_at_one_percent == pytest.approx(norm.cdf(norm.ppf(0.01) + 2.0), abs=0.02)
    assert rates.found_at_one_permille == pytest.approx(norm.cdf(norm.ppf(0.001) + 2.0), abs=0.02)


def test_an_attack_that_is_certain_of_a_few_and_guesses_the_rest_shows_at_a_low_false_positive_rate() -> None:
    generator = np.random.default_rng(2)
    members, others = generator.random(2000), generator.random(2000)
    members[:100] = 9.0
    rates = Rates.of(members, others)
    assert rates.auc.mean == pytest.approx(0.525, abs=0.04)
    assert rates.found_at_one_permille == pytest.approx(0.05, abs=0.005)


def test_no_more_than_the_stated_share_is_accused_wrongly_also_where_scores_are_equal() -> None:
    negatives = np.array([0.0] * 90 + [1.0] * 10)
    assert true_positive_rate(np.array([1.0, 1.0, 2.0]), negatives, 0.05) == pytest.approx(1 / 3)
    assert true_positive_rate(np.array([1.0, 1.0, 2.0]), negatives, 0.10) == pytest.approx(1.0)


def test_too_few_negatives_cannot_tell() -> None:
    rates = Rates.of(np.ones(50), np.zeros(99))
    assert (rates.found_at_one_percent, rates.found_at_one_permille) == (None, None)


def test_rows_with_a_single_owner_are_counted() -> None:
    histories = [History(np.array(items)) for items in ([0, 1, 1], [0, 2], [0, 1], [0])]
    everybody = audit_rare_rows(histories, 4, seed=0)
    # Items 0, 1 and 2 have four, two and one owner: one row of three, and one person of four.
    assert everybody.single_owner_share == pytest.approx(1 / 3)
    assert everybody.people_with_one == 0.25
    assert audit_rare_rows(histories, 1, seed=0).single_owner_share == 1.0


def test_a_recipe_without_mean_deltas_is_refused() -> None:
    with pytest.raises(Refused, match="means of deltas"):
        AuditedTask(Ease(EaseConfig(number_of_items=9)), rounds=1, clipping_norm=1.0, target_delta=1e-5, seed=0)


def audit(folder: Path, out: Path, *options: str) -> Result:
    """The command on 24 people and 40 items."""
    rows = [f"{p},{i},{t}" for p, h in enumerate(people_with_taste(24, 40)) for t, i in enumerate(h.items)]
    (folder / "interactions.csv").write_text("\n".join(["user,item,time", *rows]) + "\n")
    small = ["--rounds", "2", "--config", '{"dimension": 4}', "--out", str(out)]
    return CliRunner().invoke(app, ["privacy", "audit", str(folder), *small, *options])


def test_the_command_fails_where_the_noise_is_not_what_the_ledger_charged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(task, "discrete_gaussian", lambda _, size, bits: discrete_gaussian(1, size, bits))
    result = audit(tmp_path, tmp_path / "out", "--canaries", "150", "--noise", "6", "--mode-noise", "3")
    assert result.exit_code == 1, result.output
    assert "LEAK: central, noise multiplier 6: the ledger says epsilon" in result.output


def test_the_command_writes_figures_and_a_plot(tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = audit(tmp_path, out, "--canaries", "40", "--noise", "1", "--mode-noise", "2")
    assert result.exit_code == 0, result.output
    figures = json.loads((out / "audit.json").read_text())
    assert [seen["seen"] for seen in figures["reports"]][:2] == ["plain", "masked"]
    assert [found["noise_multiplier"] for found in figures["canaries"]] == [None, 1.0, 2.0, 2.0, 2.0, 2.0, 2.0]
    others = ["adaptive clipping", "Poisson-sampled", "correlated", "distributed", "local"]
    assert [found["mode"] for found in figures["canaries"]] == ["no noise", "central", *others]
    assert (out / "audit.png").stat().st_size > 10_000
