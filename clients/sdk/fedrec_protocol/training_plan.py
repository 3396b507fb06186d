"""Which recommender is trained, what a participant does in a round, and how the sum becomes parameters."""

from pydantic import JsonValue, PositiveFloat, PositiveInt

from fedrec_protocol.base import Message
from fedrec_protocol.names import Name


class RecipeChoice(Message):
    """Which recommender this task trains."""

    name: Name
    """Name of a recipe that the app knows: `autoencoder`, `mf`, or the app's own."""
    config: dict[str, JsonValue] = {}
    """The recipe's own configuration, e.g. the number of items and the embedding dimension."""


class TrainingPlan(Message):
    """What a participant does with its own examples in one training round."""

    epochs: PositiveInt = 1
    """Passes over the local examples."""
    batch_size: PositiveInt = 32
    """Examples in one gradient step."""
    learning_rate: PositiveFloat = 0.1
    """Step size of the local optimizer."""
    options: dict[str, JsonValue] = {}
    """Further options that the recipe documents."""


class AggregationRule(Message):
    """How the sum of a round becomes the next parameters."""

    rule: Name = "fedavg"
    """Name of a rule the aggregator knows."""
    params: dict[str, JsonValue] = {}
    """The rule's own parameters, e.g. `{"momentum": 0.9}` for `fedavgm`."""
