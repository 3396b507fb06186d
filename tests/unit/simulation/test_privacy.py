"""Private tasks: noise on the sum, an account of epsilon, and a budget that ends the task."""

import numpy as np
import pytest
from scipy.linalg import toeplitz

from fedrec_protocol.manifest import Weighting
from fedrec_protocol.messages import RoundKind, TaskState
from fedrec_protocol.privacy import (
    AdaptiveClipping,
    CentralPrivacy,
    CorrelatedNoise,
    DistributedPrivacy,
    LocalPrivacy,
    PoissonSampling,
)
from fedrec_protocol.secure_aggregation import SecureAggregation
from fedrec_recipes.mf import MatrixFactorisation, MatrixFactorisationConfig
from services.aggregator.domain.errors import InvalidManifest
from services.aggregator.domain.privacy import correlated
from simulation.engines.local import LocalEngine
from simulation.population import Population
from simulation.records import RoundRecord
from simulation.simulation import Simulation
from simulation.work import RoundWork
from tests.unit.recipes.data import people_with_taste
from tests.unit.simulation.tasks import manifest_of

PEOPLE, ITEMS = 20, 400
RECIPE = MatrixFactorisation(MatrixFactorisationConfig(number_of_items=ITEMS, dimension=5))
BUDGET = {"budget_epsilon": 1e6, "target_delta": 1e-5}
MASKS = SecureAggregation(modulus_bits=32, value_bits=20, minimum_cohort=16)
POPULATION = Population.of_recipe(RECIPE, people_with_taste(PEOPLE, ITEMS), seed=1)


def private_task(
    *, noise_multiplier: float = 2.0, budget: float = 1e3, rounds: int = 1, norm: float = 3.0
) -> Simulation:
    manifest = manifest_of(RECIPE, goal=PEOPLE, rounds=rounds, metrics=())
    policy = CentralPrivacy(noise_multiplier=noise_multiplier, budget_epsilon=budget, target_delta=1e-5)
    report = manifest.report.model_copy(update={"maximum_norm": norm})
    return Simulation(manifest.model_copy(update={"privacy": policy, "report": report}), POPULATION)


def finished(simulation: Simulation) -> list[RoundRecord]:
    return list(simulation.run())


def test_the_noise_on_the_mean_has_standard_deviation_z_times_c_over_goal() -> None:
    noisy, quieter = private_task(noise_multiplier=2.0), private_task(noise_multiplier=1e-3, budget=1e9)
    finished(noisy)
    finished(quieter)
    difference = np.concatenate([(noisy.parameters[n] - quieter.parameters[n]).reshape(-1) for n in noisy.parameters])
    # 2,425 parameters: the standard error of a standard deviation is 1.4 percent.
    assert difference.std() == pytest.approx(2.0 * 3.0 / PEOPLE, rel=0.06)


def test_the_same_seed_repeats_the_noise() -> None:
    assert finished(private_task(rounds=2))[-1].digest == finished(private_task(rounds=2))[-1].digest


def test_epsilon_grows_with_every_round_and_the_budget_ends_the_task() -> None:
    first = finished(private_task(rounds=1))[0].epsilon
    assert first is not None
    simulation = private_task(rounds=50, budget=2.5 * first)
    records = finished(simulation)
    spent = [record.epsilon for record in records if record.epsilon is not None]
    assert spent == sorted(set(spent))
    assert 2 < len(spent) < 50  # epsilon grows with less than the number of rounds
    assert spent[-1] <= 2.5 * first
    assert simulation.aggregator.task.state is TaskState.COMPLETED
    assert "privacy budget is used up" in simulation.aggregator.task.state_reason


def test_a_budget_without_room_for_one_round_is_refused() -> None:
    with pytest.raises(InvalidManifest, match="no room for one round"):
        private_task(noise_multiplier=0.5, budget=0.1)


def test_sampled_cohorts_vary_and_are_priced_with_their_coin() -> None:
    manifest = manifest_of(RECIPE, goal=10, rounds=8, metrics=())
    policy = CentralPrivacy(
        noise_multiplier=2.0, budget_epsilon=1e3, target_delta=1e-5, sampling=PoissonSampling(probability=0.5)
    )
    report = manifest.report.model_copy(update={"weighting": Weighting.UNIFORM})
    changed = {"privacy": policy, "report": report}
    sampled = finished(Simulation(manifest.model_copy(update=changed), POPULATION))
    changed["privacy"] = policy.model_copy(update={"sampling": None})
    unsampled = finished(Simulation(manifest.model_copy(update=changed), POPULATION))
    assert len({record.reports for record in sampled}) > 1
    assert all(record.weight == 10 for record in sampled)
    spent, more = sampled[-1].epsilon, unsampled[-1].epsilon
    assert spent is not None
    assert more is not None
    assert 0.3 * more < spent < 0.9 * more


def test_correlated_noise_leaves_less_in_the_model_than_independent_noise_of_the_same_deviation() -> None:
    def end(noise: CorrelatedNoise | None) -> np.ndarray:
        manifest = manifest_of(RECIPE, goal=1, rounds=16, metrics=())
        rounds = manifest.rounds.model_copy(update={"minimum_separation": 8, "minimum_reports": 1})
        policy = CentralPrivacy(noise_multiplier=1e3, budget_epsilon=1e9, target_delta=1e-5, correlated=noise)
        report = manifest.report.model_copy(update={"maximum_norm": 1e-6, "weighting": Weighting.UNIFORM})
        changed = {"rounds": rounds, "privacy": policy, "report": report}
        simulation = Simulation(manifest.model_copy(update=changed), POPULATION)
        before = {name: values.copy() for name, values in simulation.parameters.items()}
        finished(simulation)
        return np.concatenate([(simulation.parameters[name] - before[name]).reshape(-1) for name in before])

    # After 16 rounds independent noise has sqrt(16) deviations; 8 bands leave the norm of row 16 of A C^-1.
    strategy = np.tril(toeplitz([*correlated.banded_square_root(8), *[0.0] * 8]))
    expected = np.linalg.norm((np.tril(np.ones((16, 16))) @ np.linalg.inv(strategy))[-1])
    assert end(None).std() == pytest.approx(4 * 1e-3, rel=0.06)
    assert end(CorrelatedNoise(bands=8)).std() == pytest.approx(expected * 1e-3, rel=0.06)


@pytest.mark.parametrize(
    ("policy", "masks", "deviation"),
    [
        # 16 is the floor and a quarter may collude: parts of a twelfth of the variance, and everybody's are there.
        (DistributedPrivacy(noise_multiplier=2.0, colluding_share=0.25, **BUDGET), MASKS, 2.0 * (PEOPLE / 12) ** 0.5),
        (LocalPrivacy(noise_multiplier=0.5, **BUDGET), None, 2 * 0.5 * PEOPLE**0.5),
    ],
    ids=["distributed", "local"],
)
def test_noise_that_participants_add_is_that_of_everybody_who_reports(
    policy: DistributedPrivacy | LocalPrivacy, masks: SecureAggregation | None, deviation: float
) -> None:
    manifest = manifest_of(RECIPE, goal=PEOPLE, rounds=1, metrics=())
    report = manifest.report.model_copy(update={"maximum_norm": 1e-3, "weighting": Weighting.UNIFORM})
    changed = {"privacy": policy, "report": report, "secure_aggregation": masks}
    simulation = Simulation(manifest.model_copy(update=changed), POPULATION)
    before = {name: values.copy() for name, values in simulation.parameters.items()}
    finished(simulation)
    noise = np.concatenate([(simulation.parameters[name] - before[name]).reshape(-1) for name in before])
    assert noise.std() == pytest.approx(deviation * 1e-3 / PEOPLE, rel=0.06)


def test_the_denominator_is_the_goal_whoever_took_part() -> None:
    record = finished(private_task())[0]
    assert (record.kind, record.weight) == (RoundKind.TRAINING, PEOPLE)


def test_an_adaptive_norm_comes_near_the_quantile_of_the_updates_that_it_follows() -> None:
    manifest = manifest_of(RECIPE, goal=PEOPLE, rounds=20, metrics=())
    clipping = AdaptiveClipping(initial_norm=1.0, learning_rate=1.0, count_noise=1e-3)
    policy = CentralPrivacy(noise_multiplier=1e-3, budget_epsilon=1e12, target_delta=1e-5, clipping=clipping)
    report = manifest.report.model_copy(update={"maximum_norm": 1000.0, "weighting": Weighting.UNIFORM})
    simulation = Simulation(manifest.model_copy(update={"privacy": policy, "report": report}), POPULATION)
    finished(simulation)
    after = simulation.aggregator.manifest.model_copy(update={"privacy": None})
    norm = simulation.aggregator.clipping_norm
    assert norm is not None
    work = RoundWork(after, RoundKind.TRAINING, 21, simulation.parameters)
    engine = LocalEngine(POPULATION)
    sums = [engine.contribute(work, [person], {}) for person in range(PEOPLE)]
    lengths = [float(np.linalg.norm(total.vector[:-1] / work.layout.scale)) for total in sums]
    # From 1 to about 20, in steps of at most exp(1/2): it ends within one step of the median.
    assert abs(np.log(norm / np.median(lengths))) <= 0.5
