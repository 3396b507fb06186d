"""Attackers report what their attack says, and the others are left alone."""

import numpy as np
import pytest

from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.popularity_floor import ITEM_POPULARITY
from simulation.attacks.attack import Attack, PoisonedTrainer, with_attackers
from simulation.attacks.label_shuffling import LabelShuffling
from simulation.attacks.noise import GaussianNoise
from simulation.attacks.scaling import SIGN_FLIP, Scaling
from simulation.engines.local import LocalEngine
from simulation.population import Population
from simulation.work import RoundWork
from tests.unit.recipes.data import people_with_taste
from tests.unit.simulation.tasks import ITEMS, manifest_of, small_mf

PEOPLE = 20
HONEST = Population.of_recipe(small_mf(), people_with_taste(PEOPLE, ITEMS), seed=2)


def mean_report(population: Population, maximum_norm: float = 1e4) -> np.ndarray:
    """The mean of the first round's deltas, all tensors one after the other, in parameter units."""
    manifest = manifest_of(small_mf(), goal=PEOPLE)
    report = manifest.report.model_copy(update={"maximum_norm": maximum_norm})
    manifest = manifest.model_copy(update={"report": report})
    work = RoundWork(manifest, RoundKind.TRAINING, 1, initial_parameters(manifest.shared, 7))
    total = LocalEngine(population).contribute(work, range(PEOPLE), {})
    return total.vector[: work.layout.model_size] / work.layout.scale / PEOPLE


def attacked(attack: Attack) -> Population:
    """Everybody attacks."""
    return with_attackers(HONEST, attack, fraction=1.0, seed=1)


def test_sign_flipping_by_everybody_reverses_the_mean() -> None:
    np.testing.assert_array_equal(mean_report(attacked(SIGN_FLIP)), -mean_report(HONEST))


def test_scaling_multiplies_the_mean_up_to_the_norm_bound() -> None:
    np.testing.assert_allclose(mean_report(attacked(Scaling(4.0))), 4 * mean_report(HONEST), rtol=1e-6, atol=1e-9)
    assert np.linalg.norm(mean_report(attacked(Scaling(1e6)), maximum_norm=1.0)) <= 1.0


def test_noise_has_the_stated_standard_deviation() -> None:
    assert mean_report(attacked(GaussianNoise(0.5))).std() == pytest.approx(0.5 / PEOPLE**0.5, rel=0.1)


def test_label_shuffling_keeps_the_number_of_items_and_loses_which() -> None:
    embeddings, popularity = small_mf().shared[:2]
    assert popularity.name == ITEM_POPULARITY
    chosen = slice(embeddings.element_count, embeddings.element_count + ITEMS)
    honest, shuffled = (mean_report(population)[chosen] for population in (HONEST, attacked(LabelShuffling(ITEMS))))
    assert honest.sum() == pytest.approx(shuffled.sum())
    assert not np.allclose(honest, shuffled)


def test_a_fraction_of_the_people_attacks_and_the_seed_says_who() -> None:
    def attackers(seed: int) -> list[int]:
        population = with_attackers(HONEST, SIGN_FLIP, fraction=0.25, seed=seed)
        return [p for p in range(PEOPLE) if isinstance(population.trainer_of(p), PoisonedTrainer)]

    assert len(attackers(1)) == 5
    assert attackers(1) == attackers(1)
    assert attackers(1) != attackers(2)


def test_a_fraction_above_one_is_refused() -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        with_attackers(HONEST, SIGN_FLIP, fraction=1.5, seed=1)
