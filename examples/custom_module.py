"""Any `nn.Module` with its own loss and data: three clinics train a network without showing a patient.

They share the body of the network; each keeps its own last layer (`own_*`), fitted to its own patients.
A `FakeAggregator` in this process stands in for the server. For a real one write `manifest.model_dump_json()` to a
file, give that to `fedrec train`, and `Participant` the server's address with the enrolment key that `train` prints.
"""

import tempfile
from pathlib import Path

import torch
from torch import nn
from torch.utils.data import TensorDataset

from fedrec_protocol.manifest import RecipeChoice, RoundPolicy, StopCriteria, TaskManifest, TrainingPlan
from fedrec_sdk import Evaluation, ModuleTrainer, Participant, TaskEnded, shared_specs
from fedrec_sdk.testing import FakeAggregator

PRIVATE = ("own_*",)
CLINICS = 3
ROUNDS = 15


class Triage(nn.Module):
    """Risk of readmission from five measurements."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 16), nn.Tanh())
        self.own_output = nn.Linear(16, 1)

    def forward(self, measurements: torch.Tensor) -> torch.Tensor:
        """Logits, shape (patients,)."""
        logits: torch.Tensor = self.own_output(self.body(measurements))
        return logits.squeeze(-1)


def loss(module: nn.Module, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """The app's own loss."""
    measurements, readmitted = batch
    return nn.functional.binary_cross_entropy_with_logits(module(measurements), readmitted)


def patients(clinic: int, count: int) -> TensorDataset:
    """Made-up patients; two measurements matter together, and every clinic has its own threshold."""
    measurements = torch.randn(count, 5, generator=torch.Generator().manual_seed(1000 * clinic + count))
    risk = measurements[:, 0] * measurements[:, 1] + 0.3 * (clinic - 1)
    return TensorDataset(measurements, (risk > 0).float())


def trainer(clinic: int) -> ModuleTrainer:
    """What one clinic trains: 60 patients to learn from, 200 others to measure on."""
    unseen = patients(clinic, 200)

    def measure(module: nn.Module) -> Evaluation:
        measurements, readmitted = unseen.tensors
        return Evaluation(200, {"accuracy": float(((module(measurements) > 0) == (readmitted > 0)).sum())})

    return ModuleTrainer(Triage(), loss, patients(clinic, 60), measure=measure)


def main() -> None:
    """Run the task and print what it learnt."""
    torch.manual_seed(0)
    module = Triage()
    manifest = TaskManifest(
        name="triage",
        model="triage",
        recipe=RecipeChoice(name="triage-net"),
        shared=shared_specs(module, PRIVATE),
        private=PRIVATE,
        metrics=("accuracy",),
        rounds=RoundPolicy(aggregation_goal=CLINICS),
        training=TrainingPlan(epochs=10, batch_size=20, learning_rate=0.5),
        stop=StopCriteria(round_budget=ROUNDS),
    )
    with FakeAggregator(manifest) as aggregator, tempfile.TemporaryDirectory() as home:
        clinics = [
            Participant(aggregator.url, aggregator.enrolment_key, Path(home, str(clinic)), trainer(clinic), seed=clinic)
            for clinic in range(CLINICS)
        ]
        while not any(isinstance(clinic.contribute(), TaskEnded) for clinic in clinics):
            pass
        for version in aggregator.versions[:: ROUNDS // 3]:
            print(f"version {version.number:2d}: accuracy {version.metrics['accuracy']:.3f} on unseen patients")
        for clinic in clinics:
            clinic.close()


if __name__ == "__main__":
    main()
