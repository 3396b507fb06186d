"""What every aggregation rule is."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.base import Message
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.tensors import Tensors
from services.aggregator.domain.errors import InvalidManifest
from services.aggregator.domain.kernels import Accumulator
from services.aggregator.domain.layout import Layout


class RuleParams(Message):
    """Parameters of a rule that has none."""


ParamsT = TypeVar("ParamsT", bound=RuleParams)


class Totals(Mapping[str, NDArray[np.float64]]):
    """The summed tensors in parameter units, decoded one at a time so that memory stays small."""

    def __init__(self, vector: Accumulator, layout: Layout) -> None:
        self._vector = vector
        self._layout = layout
        self._shapes = {spec.name: spec.shape for spec in layout.tensors}

    def __getitem__(self, name: str) -> NDArray[np.float64]:
        total = self._vector[self._layout.slices[name]] / self._layout.scale
        return total.reshape(self._shapes[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)


@dataclass(frozen=True)
class RoundSum:
    """What a round's reports add up to."""

    totals: Mapping[str, NDArray[np.float64]]
    """sum_k w_k x_k for every report tensor, float64, in the units of the reports."""
    weight: int
    """sum_k w_k; positive."""
    report_count: int
    """Reports in the sum; positive."""

    def mean(self, name: str) -> NDArray[np.float64]:
        """The weighted mean of one tensor."""
        mean: NDArray[np.float64] = self.totals[name] / self.weight
        return mean


@dataclass(frozen=True)
class Step:
    """What a rule makes of a round."""

    parameters: Tensors | None
    """The next shared parameters: names, shapes and element types of the base; None where nothing is learnt."""
    state: Tensors
    """What the rule remembers until the next round, e.g. a momentum; empty for most."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """What the sum says of the base version, beside the metrics that participants report."""
    evaluated: int = 0
    """Evaluations behind these metrics; 0 when there are none."""


class Rule(ABC, Generic[ParamsT]):
    """An aggregation rule: a pure function with a name and typed parameters.

    A new rule is a file with one such class and one line in `catalogue`.
    """

    name: ClassVar[str]
    params_type: type[ParamsT]

    @abstractmethod
    def step(self, base: Tensors, total: RoundSum, state: Tensors, params: ParamsT) -> Step:
        """The next parameters.

        Args:
            base: The shared parameters that the round started from.
            total: What the reports add up to.
            state: `Step.state` of the round before; empty in the first.
            params: The rule's parameters from the manifest.
        """

    def check(self, manifest: TaskManifest, params: ParamsT) -> None:
        """Refuse a manifest that this rule cannot run; by default, one whose reports are not like the shared tensors.

        Raises:
            InvalidManifest: saying what to change.
        """
        reported = [(spec.name, spec.shape) for spec in manifest.report_tensors]
        if reported != [(spec.name, spec.shape) for spec in manifest.shared]:
            raise InvalidManifest(
                f"rule {self.name!r} moves the shared tensors by the mean of the reported ones: both need the "
                "same names and shapes, in order"
            )


def moved(base: NDArray[Any], by: NDArray[np.float64]) -> NDArray[Any]:
    """The base plus `by`, added in float64 and rounded once to the base's element type."""
    result: NDArray[Any] = (base.astype(np.float64) + by).astype(base.dtype)
    return result
