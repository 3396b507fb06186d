"""An app's own torch module, with its own loss and data."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from fedrec_protocol import codec
from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.manifest import ReportFormat, RoundPolicy, StopCriteria, TaskManifest, TrainingPlan
from fedrec_protocol.tensors import DType, Tensors
from fedrec_recipes.metrics import UnknownMetric
from fedrec_sdk import (
    Contributed,
    Evaluation,
    History,
    ModuleTrainer,
    Participant,
    initial_weights,
    load_tensors,
    shared_specs,
)
from fedrec_sdk.modules import to_array
from fedrec_sdk.testing import FakeAggregator

NOBODY = History(np.zeros(0, np.int64))


class Clinic(nn.Module):
    """A shared body, and a head that each clinic keeps for itself."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(3)
        self.own_head = nn.Linear(3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.own_head(self.norm(self.body(x)))
        return logits.squeeze(-1)


def new_clinic() -> Clinic:
    torch.manual_seed(5)
    return Clinic()


def patients() -> TensorDataset:
    x = torch.randn(40, 2, generator=torch.Generator().manual_seed(1))
    return TensorDataset(x, (x.sum(dim=1) > 0).float())


def squared_error(module: nn.Module, batch: Any) -> torch.Tensor:
    x, y = batch
    return nn.functional.mse_loss(module(x), y)


def manifest_for(module: nn.Module, **changed: Any) -> TaskManifest:
    fields: dict[str, Any] = {
        "name": "clinics",
        "model": "clinics",
        "recipe": {"name": "clinic-net"},
        "shared": shared_specs(module, private=["own_*"]),
        "private": ("own_*",),
        "rounds": RoundPolicy(aggregation_goal=1),
        "stop": StopCriteria(round_budget=5),
        "training": TrainingPlan(epochs=2, batch_size=8, learning_rate=0.1),
        "report": ReportFormat(maximum_norm=50.0),
    }
    return TaskManifest(**(fields | changed))


def test_shared_tensors_are_the_floating_ones_that_no_pattern_keeps() -> None:
    specs = shared_specs(new_clinic(), private=["own_*"])
    assert [(spec.name, spec.dtype, spec.shape) for spec in specs] == [
        ("body.weight", DType.F32, (3, 2)),
        ("body.bias", DType.F32, (3,)),
        ("norm.weight", DType.F32, (3,)),
        ("norm.bias", DType.F32, (3,)),
        ("norm.running_mean", DType.F32, (3,)),
        ("norm.running_var", DType.F32, (3,)),
    ]


def test_a_server_draws_a_first_version_with_the_spread_of_the_module() -> None:
    module = nn.Sequential(nn.Linear(400, 300), nn.LayerNorm(300))
    drawn = initial_parameters(shared_specs(module), seed=1)
    # torch draws a linear layer's weights uniformly within 1 / sqrt(inputs): from zeros its units would stay alike.
    assert drawn["0.weight"].std() == pytest.approx(1 / math.sqrt(3 * 400), rel=0.02)
    assert np.abs(drawn["0.weight"].mean()) < 0.001
    assert (drawn["1.weight"] == 1).all()
    assert (drawn["1.bias"] == 0).all()


def test_one_full_batch_step_is_a_step_of_gradient_descent() -> None:
    module, data = new_clinic(), patients()
    base = initial_weights(module, private=["own_*"])
    plan = TrainingPlan(epochs=1, batch_size=40, learning_rate=0.5)

    result = ModuleTrainer(module, squared_error, data).train(base, {}, NOBODY, plan, np.random.default_rng(0))

    reference = new_clinic()
    (gradient,) = torch.autograd.grad(squared_error(reference, data.tensors), [reference.body.weight])
    assert result.report["body.weight"] == pytest.approx(-0.5 * gradient.numpy(), abs=1e-6)
    assert result.examples == 40
    assert result.private.keys() == {"own_head.weight", "own_head.bias", "norm.num_batches_tracked"}


def test_the_app_chooses_the_optimizer() -> None:
    module = new_clinic()
    base = initial_weights(module, private=["own_*"])
    plan = TrainingPlan(epochs=1, batch_size=40, learning_rate=0.5)
    trainer = ModuleTrainer(module, squared_error, patients(), optimizer=lambda p, rate: torch.optim.Adam(p, lr=rate))
    result = trainer.train(base, {}, NOBODY, plan, np.random.default_rng(0))
    # Adam's first step has length `lr` in every coordinate (Kingma and Ba 2015).
    assert np.abs(result.report["body.weight"]) == pytest.approx(0.5, rel=1e-3)


def test_the_same_generator_gives_the_same_training_bit_for_bit() -> None:
    reports: list[Tensors] = []
    for _ in range(2):
        module = new_clinic()
        base = initial_weights(module, private=["own_*"])
        torch.manual_seed(len(reports))  # what else goes on in the process does not matter
        trainer = ModuleTrainer(module, squared_error, patients())
        reports.append(trainer.train(base, {}, NOBODY, TrainingPlan(), np.random.default_rng(3)).report)
    assert all(np.array_equal(reports[0][name], reports[1][name]) for name in reports[0])


def test_a_training_that_did_not_count_leaves_no_trace_in_the_next() -> None:
    module = new_clinic()
    base = initial_weights(module, private=["own_*"])
    trainer = ModuleTrainer(module, squared_error, patients())
    # The first was never counted, so the store has no private tensors; nor has it any once a person was forgotten.
    first, second = (trainer.train(base, {}, NOBODY, TrainingPlan(), np.random.default_rng(3)) for _ in range(2))
    assert {name: array.tolist() for name, array in first.private.items()} == {
        name: array.tolist() for name, array in second.private.items()
    }
    assert all(np.array_equal(first.report[name], second.report[name]) for name in base)


def test_a_module_learns_over_rounds_and_keeps_its_head_on_the_device(tmp_path: Path) -> None:
    module = new_clinic()
    weights = initial_weights(module, private=["own_*"])
    head = module.own_head.weight.detach().clone()
    loss_before = squared_error(module.eval(), patients().tensors).item()
    with FakeAggregator(manifest_for(module), weights) as aggregator:
        for process in range(5):  # each round in a new process, with a module made anew
            module = new_clinic() if process else module
            trainer = ModuleTrainer(module, squared_error, patients())
            with Participant(aggregator.url, aggregator.enrolment_key, tmp_path, trainer, seed=1) as clinic:
                assert isinstance(clinic.contribute(), Contributed)
                kept = clinic.parameters()["own_head.weight"]
        sent = [codec.tensor_names(request.body) for request in aggregator.requests if "/report" in request.path]

    assert len(sent) == 5
    assert all(not name.startswith("own_") and "tracked" not in name for names in sent for name in names)
    assert not np.allclose(kept, head.numpy())
    load_tensors(module, aggregator.versions[-1].tensors)
    load_tensors(module, {"own_head.weight": kept})
    assert squared_error(module.eval(), patients().tensors).item() < 0.5 * loss_before


def test_an_app_measures_what_it_likes(tmp_path: Path) -> None:
    module = new_clinic()

    def measure(module: nn.Module) -> Evaluation:
        x, y = patients().tensors
        return Evaluation(len(y), {"accuracy": float(((module(x) > 0.5) == (y > 0.5)).sum())})

    trainer = ModuleTrainer(module, squared_error, patients(), measure=measure)
    manifest = manifest_for(module, metrics=("accuracy",))
    with FakeAggregator(manifest, initial_weights(module, private=["own_*"])) as aggregator:
        with Participant(aggregator.url, aggregator.enrolment_key, tmp_path, trainer) as clinic:
            clinic.contribute()
        assert aggregator.rounds[0].reports[0].evaluations == 40
        assert 0.0 <= aggregator.versions[0].metrics["accuracy"] <= 1.0


def test_a_metric_that_nobody_measures_is_an_error_not_a_zero() -> None:
    module = new_clinic()
    base = initial_weights(module, private=["own_*"])
    with pytest.raises(UnknownMetric):
        ModuleTrainer(module, squared_error, patients()).evaluate(base, {}, NOBODY, ("accuracy",))
    other = ModuleTrainer(module, squared_error, patients(), measure=lambda _: Evaluation(1, {"auc": 1.0}))
    with pytest.raises(UnknownMetric):
        other.evaluate(base, {}, NOBODY, ("accuracy",))


def test_a_module_does_not_recommend_items(tmp_path: Path) -> None:
    module = new_clinic()
    trainer = ModuleTrainer(module, squared_error, patients())
    with (
        FakeAggregator(manifest_for(module)) as aggregator,
        Participant(aggregator.url, aggregator.enrolment_key, tmp_path, trainer) as clinic,
    ):
        clinic.contribute()
        with pytest.raises(TypeError, match="parameters"):
            clinic.recommend(3)


def test_element_types_that_the_wire_does_not_have_are_carried_by_others() -> None:
    assert to_array(torch.tensor([True, False])).dtype == np.uint8
    assert to_array(torch.tensor([1.5], dtype=torch.bfloat16)).tolist() == [1.5]

    module = nn.Module()
    module.register_buffer("mask", torch.tensor([False, False]))
    load_tensors(module, {"mask": np.array([1, 0], np.uint8)})
    assert module.state_dict()["mask"].tolist() == [True, False]


def test_tensors_that_a_module_does_not_have_are_named() -> None:
    with pytest.raises(KeyError, match=r"no tensor 'bodi\.weight'; it has body\.weight"):
        load_tensors(new_clinic(), {"bodi.weight": np.zeros((3, 2), np.float32)})


def test_tensors_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"body\.weight"):
        load_tensors(new_clinic(), {"body.weight": np.zeros((1, 2), np.float32)})
