"""Which recipes are worth trying on a catalogue, and what a person and a server pay for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fedrec_protocol import codec
from fedrec_protocol.encrypted.parameters import WORD_BYTES
from fedrec_protocol.encrypted.words import word_count
from fedrec_protocol.manifest import RecipeChoice, TaskManifest
from fedrec_recipes import catalogue
from fedrec_recipes.hashed_pairs import HashedPairsConfig
from fedrec_recipes.recipe import History, Recipe
from simulation.advice.survey import Order

MOST_ITEMS_OF_DENSE_MODELS = 5_000
"""Beyond, a matrix of items by items costs a person 100 MB and more to download."""

_FULLEST_TABLE = 0.5
"""Pairs for each cell beyond which most counts are of several pairs."""

_BASELINE = "popularity"
_DENSE_IN_TIME = "blend"
_DENSE = "ease"
_HASHED = "hashed-pairs"
_SKETCHED_IN_TIME = "sketched-slit"
_SKETCHED = "sketched-gfcf"
_FACTORS = "als"


def candidates(number_of_items: int, order: Order) -> list[Recipe[Any]]:
    """The baseline first, then what suits the size of the catalogue, without what needs an order there is not."""
    is_small, is_ordered = number_of_items <= MOST_ITEMS_OF_DENSE_MODELS, order is not Order.ITEM
    # A table of counts, or a filter, on any size of catalogue: how sparse it is decides, and the trials see that.
    if is_ordered:
        linear = [_DENSE_IN_TIME if is_small else _SKETCHED_IN_TIME, _HASHED]
    else:
        linear = [_DENSE, _SKETCHED] if is_small else [_SKETCHED]
    return [_recipe(name, number_of_items) for name in (_BASELINE, *linear, _FACTORS)]


def usual_recipe(number_of_items: int, histories: Sequence[History]) -> str:
    """What is simulated unless it is said what: by the size of the catalogue, then by how many pairs of items occur.

    A table of counts serves pairs that are few beside its cells; a subspace serves many.
    """
    if number_of_items <= MOST_ITEMS_OF_DENSE_MODELS:
        return _DENSE_IN_TIME
    pairs = sum(len(history) * (len(history) - 1) // 2 for history in histories)
    cells = number_of_items * HashedPairsConfig(number_of_items=number_of_items).cells_per_item
    return _HASHED if pairs <= _FULLEST_TABLE * cells else _SKETCHED_IN_TIME


def _recipe(name: str, number_of_items: int) -> Recipe[Any]:
    return catalogue.recipe(RecipeChoice(name=name, config={"number_of_items": number_of_items}))


def is_dense(recipe: Recipe[Any]) -> bool:
    """Whether solving it takes cubic time in the number of items."""
    return recipe.name in {_DENSE, _DENSE_IN_TIME}


@dataclass(frozen=True)
class Cost:
    """What one person transfers in the whole task, uncompressed and without headers of HTTP, and a server needs."""

    rounds: int
    bytes_down: int
    bytes_up: int
    server_bytes: int
    """Memory while a round is aggregated, about: the sum, its floating-point copy, two versions."""


def cost_of(manifest: TaskManifest) -> Cost:
    """The cost of a task, if everybody takes part in every round; the round that measures the end included."""
    rounds = manifest.stop.round_budget
    has_last = manifest.evaluate_final and bool(manifest.metrics)
    model = codec.encoded_size(manifest.shared)
    report = codec.encoded_size(manifest.body_tensors())
    coordinates = sum(spec.element_count for spec in manifest.report_tensors)
    if manifest.secure_aggregation is not None:
        report = coordinates * manifest.secure_aggregation.modulus_bits // 8
    if manifest.homomorphic_encryption is not None:
        report = word_count(coordinates, manifest.homomorphic_encryption.scheme) * WORD_BYTES
    return Cost(
        rounds=rounds,
        bytes_down=model * (rounds + has_last),
        bytes_up=report * rounds,
        server_bytes=16 * coordinates + 2 * model,
    )
