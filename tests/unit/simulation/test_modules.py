"""Any `nn.Module`, with data of each person's own, through the same rounds."""

import numpy as np
import torch
from torch import nn

from fedrec_protocol.manifest import RecipeChoice, ReportFormat, RoundPolicy, StopCriteria, TaskManifest, TrainingPlan
from fedrec_protocol.tensors import Initialiser, InitialiserKind, TensorSpec
from fedrec_recipes.recipe import History
from fedrec_sdk.evaluation import Evaluation
from fedrec_sdk.module_trainer import ModuleTrainer
from simulation.population import Population
from simulation.shards import dirichlet_shards
from simulation.simulation import Simulation

PEOPLE = 8
NOTHING = History(np.array([], dtype=np.int64))


def clusters() -> tuple[np.ndarray, np.ndarray]:
    """Four Gaussian clouds in the plane, far from each other."""
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 4, 400)
    centres = np.array([[3, 3], [3, -3], [-3, 3], [-3, -3]])
    return (centres[labels] + generator.normal(size=(400, 2))).astype(np.float32), labels


def loss(module: nn.Module, batch: list[torch.Tensor]) -> torch.Tensor:
    return nn.functional.cross_entropy(module(batch[0]), batch[1])


def population(concentration: float) -> Population:
    """Shards of unlike mixtures; a tenth of each is measured and not trained on."""
    points, labels = clusters()
    shards = dirichlet_shards(labels, PEOPLE, concentration=concentration, generator=np.random.default_rng(2))
    module = nn.Linear(2, 4)

    def trainer_of(person: int) -> ModuleTrainer:
        held_out, used = np.split(shards[person], [len(shards[person]) // 10])

        def measure(trained: nn.Module) -> Evaluation:
            with torch.no_grad():
                found = trained(torch.from_numpy(points[held_out])).argmax(dim=1).numpy()
            return Evaluation(len(held_out), {"accuracy": float((found == labels[held_out]).sum())})

        data = torch.utils.data.TensorDataset(torch.from_numpy(points[used]), torch.from_numpy(labels[used]))
        return ModuleTrainer(module, loss, data, measure=measure)

    return Population([NOTHING] * PEOPLE, trainer_of, seed=4)


def manifest() -> TaskManifest:
    small = Initialiser(kind=InitialiserKind.NORMAL, scale=0.1)
    return TaskManifest(
        name="clouds",
        model="clouds",
        recipe=RecipeChoice(name="own"),
        shared=(TensorSpec(name="weight", shape=(4, 2), init=small), TensorSpec(name="bias", shape=(4,))),
        report=ReportFormat(maximum_examples=400),
        metrics=("accuracy",),
        rounds=RoundPolicy(aggregation_goal=PEOPLE),
        training=TrainingPlan(learning_rate=0.1, batch_size=16),
        stop=StopCriteria(round_budget=5),
    )


def test_people_with_unlike_shards_learn_one_classifier_together() -> None:
    records = list(Simulation(manifest(), population(concentration=0.3)).run())
    assert records[0].metrics["accuracy"] < 0.6
    assert records[-1].metrics["accuracy"] > 0.9
    assert records[0].weight == sum(population(concentration=0.3).examples)  # n, the sum of all n_k


def test_a_run_repeats_bit_for_bit_whatever_torch_was_seeded_with() -> None:
    def digest(torch_seed: int) -> str:
        torch.manual_seed(torch_seed)
        return list(Simulation(manifest(), population(concentration=1.0)).run())[-1].digest

    assert digest(1) == digest(2)
