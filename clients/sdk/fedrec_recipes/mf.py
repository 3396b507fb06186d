"""Matrix factorisation with private user vectors: `mf`.

The item embeddings are shared. A person's vector is solved in closed form on the device from the item
embeddings and the history, so it never leaves, and a new person needs no round.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fedrec_protocol.manifest import AggregationRule, ReportFormat, TrainingPlan, Weighting
from fedrec_protocol.popularity_floor import ITEM_POPULARITY
from fedrec_protocol.tensors import Initialiser, InitialiserKind, Tensors, TensorSpec
from fedrec_recipes import implicit
from fedrec_recipes.recipe import History, LocalResult, Recipe
from fedrec_recipes.running_mean import running_mean_delta

ITEM_EMBEDDINGS = "item_embeddings"
USER_GRAM = "user_gram"
USER_VECTOR = "user_vector"

_CURVATURE_OF_OBSERVED = 2.0
"""How much longer than average the vectors of people behind an observation are, squared (active people
have long vectors). Taking it too small makes full steps overshoot; too large costs a few rounds."""


class MatrixFactorisationConfig(implicit.ImplicitConfig):
    """Hyperparameters of `mf`."""


class MatrixFactorisation(Recipe[MatrixFactorisationConfig]):
    """Implicit matrix factorisation, federated: private user vectors, shared item embeddings.

    A round is one approximate Newton step on the item embeddings for the iALS objective, all items
    being evidence (nothing is sampled, and a report is dense whatever the person chose). The Hessian of
    item i is close to (n_i + w U) times the second moment of the user vectors, and both are means over
    people: they travel with the report as two more tensors, `item_popularity` and `user_gram`, whose
    new value is simply their mean over the cohort. Without the preconditioner the same gradients take
    hundreds of rounds instead of about ten.

    `TrainingPlan.learning_rate` is the length of the step; 1 would be a full Newton step for the average
    cohort. With a cohort that is a small part of all people choose it smaller, about 0.2. `epochs` and
    `batch_size` do not apply: the gradient is exact.
    """

    name = "mf"
    config_type = MatrixFactorisationConfig
    private = (USER_VECTOR,)
    usual_rounds = 16

    @property
    def shared(self) -> tuple[TensorSpec, ...]:
        """Item embeddings, and the two statistics that make a step the right length."""
        items, dimension = self.config.number_of_items, self.config.dimension
        small = Initialiser(kind=InitialiserKind.NORMAL, scale=0.3 / dimension**0.5)
        return (
            TensorSpec(name=ITEM_EMBEDDINGS, shape=(items, dimension), init=small),
            TensorSpec(name=ITEM_POPULARITY, shape=(items,)),
            TensorSpec(name=USER_GRAM, shape=(dimension, dimension)),
        )

    @property
    def report_format(self) -> ReportFormat:
        """A delta per person; everybody counts the same, as in the objective."""
        return ReportFormat(weighting=Weighting.UNIFORM, maximum_norm=10_000.0)

    @property
    def aggregation(self) -> AggregationRule:
        """The plain mean: the statistics are means, and the steps have the right length already."""
        return AggregationRule(rule="fedavg")

    @property
    def training(self) -> TrainingPlan:
        """A step of 0.7 suits rounds in which most people take part."""
        return TrainingPlan(learning_rate=0.7)

    def train(
        self,
        shared: Tensors,
        private: Tensors,  # unused: the user vector is solved anew for every item table
        history: History,
        plan: TrainingPlan,
        generator: np.random.Generator,  # unused: nothing is random
    ) -> LocalResult:
        """One step from one person's history; the report is a delta of the shared tensors."""
        vector = self._user_vector(shared, history)
        rate = min(plan.learning_rate, 1.0)
        chosen = np.zeros(self.config.number_of_items)
        chosen[history.items] = 1.0
        report = {
            ITEM_EMBEDDINGS: plan.learning_rate * self._item_step(shared, vector, chosen),
            ITEM_POPULARITY: running_mean_delta(shared[ITEM_POPULARITY], chosen, rate),
            USER_GRAM: running_mean_delta(shared[USER_GRAM], np.outer(vector, vector), rate),
        }
        return LocalResult(
            report={name: delta.astype(np.float32) for name, delta in report.items()},
            examples=len(history),
            private={USER_VECTOR: vector.astype(np.float32)},
        )

    def score(
        self,
        shared: Tensors,
        private: Tensors,  # unused: a stored vector may be of an older item table
        history: History,
    ) -> NDArray[np.float32]:
        """Inner products of the item embeddings with the user vector solved from `history`."""
        vector = self._user_vector(shared, history)
        return np.asarray(shared[ITEM_EMBEDDINGS] @ vector.astype(np.float32), dtype=np.float32)

    def train_central(
        self,
        histories: Sequence[History],
        generator: np.random.Generator,
        *,
        base: Tensors | None = None,
        iterations: int = 12,
    ) -> dict[str, NDArray[np.float32]]:
        """Minimise the same objective with everybody's data in one place, by alternating least squares."""
        config = self.config
        weights = {"unobserved_weight": config.unobserved_weight, "regularisation": config.regularisation}
        items_of = [history.items for history in histories]
        people_of = _transpose(items_of, config.number_of_items)
        items = self.starting_parameters(base, generator)[ITEM_EMBEDDINGS].astype(np.float64)
        for _ in range(iterations):
            users = implicit.solve_vectors(items.T @ items, items, items_of, **weights)
            items = implicit.solve_vectors(users.T @ users, users, people_of, **weights)
        return {
            ITEM_EMBEDDINGS: items.astype(np.float32),
            ITEM_POPULARITY: (np.array([len(people) for people in people_of]) / len(histories)).astype(np.float32),
            USER_GRAM: (users.T @ users / len(histories)).astype(np.float32),
        }

    def _user_vector(self, shared: Tensors, history: History) -> NDArray[np.float64]:
        return implicit.solve_user_vector(
            shared[ITEM_EMBEDDINGS],
            history.items,
            unobserved_weight=self.config.unobserved_weight,
            regularisation=self.config.regularisation,
        )

    def _item_step(
        self, shared: Tensors, vector: NDArray[np.float64], chosen: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """This person's share of the Newton step, shape (number_of_items, dimension).

        Zero in the first round, when nothing is known of the curvature yet.
        """
        gram = np.asarray(shared[USER_GRAM], dtype=np.float64)
        if not gram.any():
            return np.zeros((self.config.number_of_items, self.config.dimension))
        weight, ridge = self.config.unobserved_weight, self.config.regularisation
        items = np.asarray(shared[ITEM_EMBEDDINGS], dtype=np.float64)
        predicted = items @ vector
        residual = chosen * (1.0 - predicted) - weight * predicted
        inverse = np.linalg.inv(gram + ridge * np.eye(len(gram)))
        curvature = _CURVATURE_OF_OBSERVED * shared[ITEM_POPULARITY].astype(np.float64) + weight
        step = np.outer(residual / curvature, inverse @ vector)
        step -= (ridge * (chosen + weight) / curvature)[:, None] * (items @ inverse)
        return step


def _transpose(items_of: list[NDArray[np.int64]], number_of_items: int) -> list[NDArray[np.int64]]:
    """For each item the people who chose it."""
    people = np.repeat(np.arange(len(items_of)), [len(items) for items in items_of])
    items = np.concatenate(items_of)
    order = np.argsort(items, kind="stable")
    bounds = np.searchsorted(items[order], np.arange(1, number_of_items))
    return np.split(people[order], bounds)
