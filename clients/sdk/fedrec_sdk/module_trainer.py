"""Federated training of an app's own `nn.Module`, with its own loss and data."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from fedrec_protocol.manifest import ReportContent, TrainingPlan
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.metrics import UnknownMetric
from fedrec_recipes.recipe import History, LocalResult
from fedrec_sdk.evaluation import Evaluation
from fedrec_sdk.modules import load_tensors, to_array

if TYPE_CHECKING:
    import torch
    from torch import nn


class ModuleTrainer:
    """Trains a module by mini-batch gradient descent and reports the delta of its shared parameters.

    What is in the base version is shared; everything else in the module's state_dict is private: it
    stays in the local store, and is loaded into the module before the next training. Until the store has some,
    every training starts from the values that the module had before the first: a round that did not count leaves
    no trace.

    Args:
        module: The module. It is changed: after a round it holds what was trained.
        loss: Mean loss of a batch: called as `loss(module, batch)`.
        data: A torch `Dataset` of fixed length: the local examples.
        optimizer: Makes an optimizer from parameters and learning rate; SGD by default.
        measure: Measures the module on data that it is not trained on; needed if the manifest names
            metrics.
    """

    content = ReportContent.DELTA

    def __init__(
        self,
        module: "nn.Module",
        loss: "Callable[[nn.Module, Any], torch.Tensor]",
        data: "torch.utils.data.Dataset[Any]",
        *,
        optimizer: "Callable[[Iterable[nn.Parameter], float], torch.optim.Optimizer] | None" = None,
        measure: "Callable[[nn.Module], Evaluation] | None" = None,
    ) -> None:
        self.module = module
        self.loss = loss
        self.data = data
        self._optimizer = optimizer
        self._measure = measure
        self._untrained: Tensors | None = None

    def count_examples(self, history: History) -> int:
        """Length of the dataset."""
        return len(self.data)  # type: ignore[arg-type]  # Dataset does not declare __len__, map-style ones have it

    def train(
        self,
        shared: Tensors,
        private: Tensors,
        history: History,
        plan: TrainingPlan,
        generator: np.random.Generator,
    ) -> LocalResult:
        """Epochs of mini-batches, shuffled; torch's own randomness (dropout) is seeded as well.

        torch has one generator per process for dropout: train in one thread where a run is to be repeated.
        """
        import torch  # noqa: PLC0415 - the SDK imports torch only to train

        if self._untrained is None:
            self._untrained = _tensors_without(shared, self.module)
        load_tensors(self.module, {**self._untrained, **private, **shared})
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(generator.integers(2**63)))
            self._descend(plan)
        trained = _tensors_without({}, self.module)
        return LocalResult(
            report={name: trained[name].astype(np.float32) - base.astype(np.float32) for name, base in shared.items()},
            examples=self.count_examples(history),
            private={name: array for name, array in trained.items() if name not in shared and array.size},
        )

    def evaluate(self, shared: Tensors, private: Tensors, history: History, metrics: tuple[str, ...]) -> Evaluation:
        """What `measure` finds of the base version.

        Raises:
            UnknownMetric: a metric that `measure` does not return.
        """
        load_tensors(self.module, {**private, **shared})
        if self._measure is None:
            raise UnknownMetric(f"the task asks for {', '.join(metrics)}: pass measure=")
        self.module.eval()
        found = self._measure(self.module)
        missing = set(metrics) - found.sums.keys()
        if found.count and missing:
            raise UnknownMetric(f"measure= does not return {', '.join(sorted(missing))}")
        return found

    def _descend(self, plan: TrainingPlan) -> None:
        import torch  # noqa: PLC0415 - as above

        make_optimizer = self._optimizer or (lambda parameters, rate: torch.optim.SGD(parameters, lr=rate))
        optimizer = make_optimizer(self.module.parameters(), plan.learning_rate)
        batches: Iterable[Any] = torch.utils.data.DataLoader(self.data, batch_size=plan.batch_size, shuffle=True)
        self.module.train()
        for _ in range(plan.epochs):
            for batch in batches:
                optimizer.zero_grad()
                torch.autograd.backward(self.loss(self.module, batch))
                optimizer.step()


def _tensors_without(left_out: Tensors, module: "nn.Module") -> Tensors:
    """Copies of a module's tensors, but for those of these names."""
    return {name: to_array(tensor) for name, tensor in module.state_dict().items() if name not in left_out}
