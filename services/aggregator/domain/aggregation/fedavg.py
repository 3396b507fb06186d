"""Federated averaging."""

from typing import ClassVar

from pydantic import PositiveFloat

from fedrec_protocol.tensors import Tensors
from services.aggregator.domain.aggregation.rule import RoundSum, Rule, RuleParams, Step, moved


class FedAvgParams(RuleParams):
    """Parameters of FedAvg."""

    learning_rate: PositiveFloat = 1.0
    """Factor on the mean delta; 1 is plain averaging of the participants' parameters."""


class FedAvg(Rule[FedAvgParams]):
    """theta + eta * sum_k (n_k / n) delta_k: the weighted mean of the participants' parameters.

    McMahan et al. 2017, https://arxiv.org/abs/1602.05629, algorithm 1.
    """

    name: ClassVar[str] = "fedavg"
    params_type = FedAvgParams

    def step(self, base: Tensors, total: RoundSum, state: Tensors, params: FedAvgParams) -> Step:
        """Move every tensor by the weighted mean delta."""
        return Step({name: moved(base[name], params.learning_rate * total.mean(name)) for name in base}, state={})
