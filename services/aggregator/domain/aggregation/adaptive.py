"""Adaptive server optimizers: FedAdagrad, FedAdam and FedYogi."""

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat

from fedrec_protocol.tensors import Tensors
from services.aggregator.domain.aggregation.rule import RoundSum, Rule, RuleParams, Step, moved

Array = NDArray[np.float64]


class AdaptiveParams(RuleParams):
    """Parameters of the adaptive rules."""

    learning_rate: PositiveFloat = 0.1
    """Server step size (eta)."""
    beta_1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the first moment."""
    beta_2: float = Field(default=0.99, ge=0, lt=1)
    """Decay of the second moment; not used by FedAdagrad."""
    tau: PositiveFloat = 1e-3
    """Added to the root of the second moment: the degree of adaptivity."""
    averaged: tuple[str, ...] = ()
    """Tensors that move by the plain mean: statistics that travel with the parameters, e.g. a mean over people."""


class AdaptiveRule(Rule[AdaptiveParams]):
    """theta + eta m / (sqrt(v) + tau), with m the decayed mean delta and v one of three second moments.

    Reddi et al. 2021, https://arxiv.org/abs/2003.00295, algorithm 2.
    """

    params_type = AdaptiveParams

    @abstractmethod
    def second_moment(self, before: Array, delta: Array, params: AdaptiveParams) -> Array:
        """The second moment after a round with this mean delta."""

    def step(self, base: Tensors, total: RoundSum, state: Tensors, params: AdaptiveParams) -> Step:
        """Update both moments by the weighted mean delta, and move every tensor."""
        remembered: dict[str, Array] = {}
        parameters = {}
        for name in base:
            delta = total.mean(name)
            if name in params.averaged:
                parameters[name] = moved(base[name], delta)
                continue
            first = params.beta_1 * state.get(f"first.{name}", np.zeros(delta.shape)) + (1 - params.beta_1) * delta
            before = state.get(f"second.{name}", np.full(delta.shape, params.tau**2))
            second = self.second_moment(before, delta, params)
            remembered |= {f"first.{name}": first, f"second.{name}": second}
            parameters[name] = moved(base[name], params.learning_rate * first / (np.sqrt(second) + params.tau))
        return Step(parameters, state=remembered)


class FedAdagrad(AdaptiveRule):
    """Second moment: the sum of squares."""

    name: ClassVar[str] = "fedadagrad"

    def second_moment(self, before: Array, delta: Array, params: AdaptiveParams) -> Array:
        return before + delta**2


class FedAdam(AdaptiveRule):
    """Second moment: the decayed mean of squares."""

    name: ClassVar[str] = "fedadam"

    def second_moment(self, before: Array, delta: Array, params: AdaptiveParams) -> Array:
        return params.beta_2 * before + (1 - params.beta_2) * delta**2


class FedYogi(AdaptiveRule):
    """Second moment: moves towards the square by a step that does not depend on the distance."""

    name: ClassVar[str] = "fedyogi"

    def second_moment(self, before: Array, delta: Array, params: AdaptiveParams) -> Array:
        return before - (1 - params.beta_2) * delta**2 * np.sign(before - delta**2)
