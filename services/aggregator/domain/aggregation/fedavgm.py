"""Federated averaging with server momentum."""

from typing import ClassVar

import numpy as np
from pydantic import Field, PositiveFloat

from fedrec_protocol.tensors import Tensors
from services.aggregator.domain.aggregation.rule import RoundSum, Rule, RuleParams, Step, moved


class FedAvgMParams(RuleParams):
    """Parameters of FedAvgM."""

    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Share of the last round's velocity that is kept (beta)."""
    learning_rate: PositiveFloat = 1.0
    """Factor on the velocity (eta)."""


class FedAvgM(Rule[FedAvgMParams]):
    """v <- beta v + mean delta;  theta <- theta + eta v.

    Hsu, Qi and Brown 2019, https://arxiv.org/abs/1909.06335, section 4.3.
    """

    name: ClassVar[str] = "fedavgm"
    params_type = FedAvgMParams

    def step(self, base: Tensors, total: RoundSum, state: Tensors, params: FedAvgMParams) -> Step:
        """Update the velocity by the weighted mean delta, and move every tensor by it."""
        velocity, parameters = {}, {}
        for name in base:
            kept = params.momentum * state[name] if name in state else np.zeros(base[name].shape)
            velocity[name] = kept + total.mean(name)
            parameters[name] = moved(base[name], params.learning_rate * velocity[name])
        return Step(parameters, state=velocity)
