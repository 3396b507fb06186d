"""The autoencoder recommender: an MLP that reconstructs a person's interaction vector (`autoencoder`).

One person's forward and backward pass is a screen of numpy (`autoencoder_network`): with a single
example a tensor framework's calls cost more than the arithmetic, and a device needs no torch.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from fedrec_protocol.manifest import AggregationRule, ReportFormat, TrainingPlan, Weighting
from fedrec_protocol.tensors import Initialiser, InitialiserKind, Tensors, TensorSpec
from fedrec_recipes import autoencoder_network as network
from fedrec_recipes.adam import Adam
from fedrec_recipes.autoencoder_network import DECODER_BIAS, DECODER_WEIGHT, ENCODER_BIAS, ENCODER_WEIGHT
from fedrec_recipes.people_count import CountingConfig, count_person, people_count
from fedrec_recipes.recipe import History, LocalResult, Recipe
from fedrec_recipes.running_mean import running_mean_delta

ITEM_SHARE = "item_share"

_WEIGHTS = (ENCODER_WEIGHT, ENCODER_BIAS, DECODER_WEIGHT, DECODER_BIAS)


class AutoencoderConfig(CountingConfig):
    """Hyperparameters of `autoencoder`."""

    hidden_size: PositiveInt = 32
    """Width of the hidden layer."""
    dropout: float = Field(default=0.6, ge=0, lt=1)
    """Probability with which an input is dropped while training."""
    damping: PositiveFloat = 2.0
    """Steps of an item are divided by its share of interactions plus damping / number_of_items."""
    weight_decay: NonNegativeFloat = 0.02
    """Fraction of the weights that one local step takes off."""


class Autoencoder(Recipe[AutoencoderConfig]):
    """Softmax autoencoder over items: tanh hidden layer, dropout on the input.

    Input is the person's binary vector scaled to unit length; the loss is the multinomial one, the mean
    of -log p_i over the person's items (Liang et al. 2018, https://arxiv.org/abs/1802.05814, which found it
    better than squared and logistic loss); the architecture is that of Sedhain et al. 2015 (AutoRec).

    Averaged gradients starve rare items: hardly anybody's gradient moves their rows. So the rows of item
    i move by gradient / (share_i + damping / items), a diagonal Gauss-Newton step: the curvature of a
    logit is its probability. `item_share` is a mean over people too and travels with the report.
    """

    name = "autoencoder"
    config_type = AutoencoderConfig
    usual_rounds = 45

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """Weights and biases as `torch.nn.Linear` holds them, and the items' shares of interactions."""
        items, hidden = self.config.number_of_items, self.config.hidden_size
        wide = Initialiser(kind=InitialiserKind.NORMAL, scale=1.0 / hidden**0.5)
        narrow = Initialiser(kind=InitialiserKind.NORMAL, scale=0.5 / hidden**0.5)
        return (
            TensorSpec(name=ENCODER_WEIGHT, shape=(hidden, items), init=wide),
            TensorSpec(name=ENCODER_BIAS, shape=(hidden,)),
            TensorSpec(name=DECODER_WEIGHT, shape=(items, hidden), init=narrow),
            TensorSpec(name=DECODER_BIAS, shape=(items,)),
            TensorSpec(name=ITEM_SHARE, shape=(items,)),
            *people_count(self.config),
        )

    @property
    def report_format(self) -> ReportFormat:
        """A delta per person; everybody counts the same."""
        return ReportFormat(weighting=Weighting.UNIFORM, maximum_norm=10_000.0)

    @property
    def aggregation(self) -> AggregationRule:
        """The plain mean: steps have the right length already."""
        return AggregationRule(rule="fedavg")

    @property
    def training(self) -> TrainingPlan:
        """One local step of 0.3 a round; from about 0.4 on training diverges."""
        return TrainingPlan(learning_rate=0.3)

    def train(
        self,
        shared: Tensors,
        private: Tensors,  # unused: everything is shared
        history: History,
        plan: TrainingPlan,
        generator: np.random.Generator,
    ) -> LocalResult:
        """`plan.epochs` steps on one person's vector, each with its own dropout; the report is a delta."""
        interactions = network.interaction_matrix([history], self.config.number_of_items)
        inputs, targets = network.unit_length(interactions), network.distribution(interactions)
        step = self._step_of_items(shared, plan.learning_rate)
        local = {name: np.array(shared[name], dtype=np.float32) for name in _WEIGHTS}
        for _ in range(plan.epochs):
            gradient = network.gradients(local, network.drop(inputs, self.config.dropout, generator), targets)
            self._descend(local, gradient, step, np.float32(plan.learning_rate))
        report = {name: local[name] - shared[name] for name in _WEIGHTS}
        rate = min(plan.learning_rate, 1.0)
        report[ITEM_SHARE] = running_mean_delta(shared[ITEM_SHARE], targets[0], rate).astype(np.float32)
        report |= count_person(self.config, shared, history)
        return LocalResult(report=report, examples=len(history))

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: everything is shared
        history: History,
    ) -> NDArray[np.float32]:
        """The decoder's logits of the whole history."""
        interactions = network.interaction_matrix([history], self.config.number_of_items)
        return np.asarray(network.logits(shared, network.unit_length(interactions))[0], dtype=np.float32)

    def train_central(
        self,
        histories: Sequence[History],
        generator: np.random.Generator,
        *,
        epochs: int = 50,
        batch_size: int = 64,
        learning_rate: float = 3e-3,
    ) -> dict[str, NDArray[np.float32]]:
        """Minimise the same loss with everybody's data in one place, with Adam on mini-batches."""
        interactions = network.interaction_matrix(histories, self.config.number_of_items)
        parameters = self._first_parameters(generator)
        adam = Adam(parameters, learning_rate)
        for _ in range(epochs):
            people = generator.permutation(len(histories))
            for start in range(0, len(people), batch_size):
                batch = interactions[people[start : start + batch_size]]
                inputs = network.drop(network.unit_length(batch), self.config.dropout, generator)
                adam.step(network.gradients(parameters, inputs, network.distribution(batch)))
        share = network.distribution(interactions).mean(axis=0, dtype=np.float64)
        return {**parameters, ITEM_SHARE: share.astype(np.float32)}

    def _step_of_items(self, shared: Tensors, learning_rate: float) -> NDArray[np.float32]:
        """Length of the step of each item's rows, shape (number_of_items,)."""
        share = np.asarray(shared[ITEM_SHARE], dtype=np.float32)
        curvature = share + self.config.damping / self.config.number_of_items
        return np.asarray(learning_rate / curvature, dtype=np.float32)

    def _descend(
        self,
        local: dict[str, NDArray[np.float32]],
        gradient: dict[str, NDArray[np.float32]],
        step: NDArray[np.float32],
        learning_rate: np.float32,
    ) -> None:
        """One preconditioned step with decoupled weight decay, in place."""
        for name in (ENCODER_WEIGHT, DECODER_WEIGHT):
            local[name] *= np.float32(1.0 - self.config.weight_decay)
        local[ENCODER_WEIGHT] -= gradient[ENCODER_WEIGHT] * step
        local[ENCODER_BIAS] -= gradient[ENCODER_BIAS] * learning_rate
        local[DECODER_WEIGHT] -= gradient[DECODER_WEIGHT] * step[:, None]
        local[DECODER_BIAS] -= gradient[DECODER_BIAS] * step

    def _first_parameters(self, generator: np.random.Generator) -> dict[str, NDArray[np.float32]]:
        """Parameters as a server would initialise them."""
        return {
            spec.name: generator.normal(0.0, spec.init.scale, spec.shape).astype(np.float32)
            if spec.init.kind is InitialiserKind.NORMAL
            else np.zeros(spec.shape, dtype=np.float32)
            for spec in self.shared
            if spec.name in _WEIGHTS
        }
