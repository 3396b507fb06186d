"""Which recipes are worth trying on a catalogue, and what a person and a server pay for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from fedrec_protocol import codec
from fedrec_protocol.encrypted.parameters import WORD_BYTES
from fedrec_protocol.encrypted.words import word_count
from fedrec_protocol.manifest import RecipeChoice, TaskManifest
from fedrec_recipes import catalogue
from fedrec_recipes.hashed_pairs import HashedPairs
from fedrec_recipes.recipe import History, Recipe
from simulation.advice.survey import Order

MOST_ITEMS_OF_DENSE_MODELS = 5_000
"""Beyond, a matrix of items by items costs a person 100 MB and more to download."""
LARGEST_TRANSFER_BYTES = 256_000_000
"""Of a model or a report, unless it is said otherwise: about what `blend` has for 5,600 items."""

_FULLEST_TABLE = 0.5
"""Pairs for each cell beyond which most counts are of several pairs."""

_BASELINE = "popularity"
_DENSE_IN_TIME = ("blend", "slit")
_DENSE = ("ease",)
_HASHED = "hashed-pairs"
_SKETCHED_IN_TIME = "sketched-slit"
_SKETCHED = "sketched-gfcf"
_FACTORS = "als"
_SUBSPACE_SIZES: tuple[dict[str, JsonValue], ...] = (
    {"dimension": 128},
    {"dimension": 512},
    {"dimension": 32},
    {"dimension": 16},
)
"""Of a sketch; the first two that fit are tried."""
_WIDEST_FIRST = sorted(_SUBSPACE_SIZES, key=lambda size: -int(str(size["dimension"])))
"""Without a trial: 512 columns were better than 128, or within 2%, on all of ten sets (docs/measurements.md)."""
_FILTER_SIZES: tuple[dict[str, JsonValue], ...] = (
    {},
    {"dimension": 128, "cells_per_item": 128, "neighbours": 32},
    {"dimension": 32, "cells_per_item": 64, "neighbours": 16},
    {"dimension": 16, "cells_per_item": 32, "neighbours": 8},
)
"""Of a filter and its neighbours; the first that fits is tried."""
_PEOPLE_OF_A_COLUMN = 16
"""A filter of more columns keeps what a few people have in common, and at last only what each chose."""


def candidates(
    number_of_items: int, order: Order, largest_bytes: int = LARGEST_TRANSFER_BYTES, people: int | None = None
) -> list[Recipe[Any]]:
    """The baseline first, then what suits the data and can be transferred, what is preferred of equals first.

    Args:
        number_of_items: Size of the catalogue.
        order: Without one in time, what learns from it is left out.
        largest_bytes: A recipe whose model or report is larger is left out.
        people: Who takes part, which bounds the columns of a filter; None for any number.
    """

    def fitting(name: str, *sizes: dict[str, JsonValue]) -> list[Recipe[Any]]:
        return _fitting(number_of_items, largest_bytes, name, *sizes)

    is_ordered = order is not Order.ITEM
    dense = [each for name in (_DENSE_IN_TIME if is_ordered else _DENSE) for each in fitting(name)][:1]
    # A table of counts, or a filter, on any size of catalogue: how sparse it is decides, and the trials see that.
    others = fitting(_HASHED, {} if is_ordered else {"is_ordered": False})
    if is_ordered and not dense:
        sketches = fitting(_SKETCHED_IN_TIME, *_SUBSPACE_SIZES)[:2]
        others += sorted(sketches, key=largest_transfer)
    if order is Order.ITEM or (order is Order.FILE and not dense):
        filters = [_narrowed(each, people) for each in fitting(_SKETCHED, *_FILTER_SIZES)[:1]]
        # In a trial of few people all their pairs have room in the table. Everybody's may not: of equals, the filter.
        others = [*others, *filters] if is_ordered else [*filters, *others]
    return [_recipe(_BASELINE, number_of_items), *dense, *others, *fitting(_FACTORS)]


def _fitting(number_of_items: int, largest_bytes: int, name: str, *sizes: dict[str, JsonValue]) -> list[Recipe[Any]]:
    """A recipe in those of these sizes, or in its usual one, whose model and report are small enough."""
    found = [_recipe(name, number_of_items, **size) for size in sizes or ({},)]
    return [recipe for recipe in found if largest_transfer(recipe) <= largest_bytes]


def _narrowed(recipe: Recipe[Any], people: int | None) -> Recipe[Any]:
    """The filter with no more columns than so many people can tell apart."""
    most = recipe.config.dimension if people is None else max(people // _PEOPLE_OF_A_COLUMN, 1)
    narrow = recipe.config.model_copy(update={"dimension": min(recipe.config.dimension, most)})
    return type(recipe)(narrow)


def label(recipe: Recipe[Any]) -> str:
    """The name of a recipe, with what is not its default."""
    defaults = type(recipe)(type(recipe.config)(number_of_items=recipe.config.number_of_items)).choice.config
    changed = {name: value for name, value in recipe.choice.config.items() if value != defaults.get(name)}
    return " ".join([recipe.name, *(f"{name}={value}" for name, value in changed.items())])


def largest_transfer(recipe: Recipe[Any]) -> int:
    """Bytes of a recipe's model or of its report, whichever is larger."""
    report = recipe.report_format.tensors
    return max(codec.encoded_size(recipe.shared), codec.encoded_size(recipe.shared if report is None else report))


def usual_recipe(number_of_items: int, histories: Sequence[History], order: Order) -> Recipe[Any]:
    """What is simulated unless it is said what: by the size of the catalogue, the order, and how many pairs occur.

    A table of counts serves pairs that are few beside its cells; a subspace serves many, and catalogues so large that
    reading the table would take hours.
    """
    if number_of_items <= MOST_ITEMS_OF_DENSE_MODELS:
        return _recipe((_DENSE if order is Order.ITEM else _DENSE_IN_TIME)[0], number_of_items)

    def first(name: str, sizes: Sequence[dict[str, JsonValue]] = ()) -> Recipe[Any]:
        return next(iter(_fitting(number_of_items, LARGEST_TRANSFER_BYTES, name, *sizes)), popularity)

    popularity = _recipe(_BASELINE, number_of_items)
    if order is Order.ITEM:
        found = first(_SKETCHED, _FILTER_SIZES)
        return found if found is popularity else _narrowed(found, len(histories))
    table = first(_HASHED)
    if isinstance(table, HashedPairs) and not overfills(table, histories):
        return table
    return first(_SKETCHED_IN_TIME, _WIDEST_FIRST)


def overfills(recipe: Recipe[Any], histories: Sequence[History]) -> bool:
    """Whether these people have so many pairs of items that a table of counts holds them no more.

    A trial of some of them does not see that: theirs have room.
    """
    if not isinstance(recipe, HashedPairs):
        return False
    config = recipe.config
    window = config.window if config.is_ordered else config.number_of_items
    pairs = sum(_pairs_within(window, len(history)) for history in histories)
    return pairs > _FULLEST_TABLE * config.number_of_items * config.cells_per_item


def _pairs_within(window: int, length: int) -> int:
    """Pairs of a history of this length whose items are at most `window` places apart."""
    distances = min(window, max(length - 1, 0))
    return distances * length - distances * (distances + 1) // 2


def _recipe(name: str, number_of_items: int, **config: JsonValue) -> Recipe[Any]:
    return catalogue.recipe(RecipeChoice(name=name, config={"number_of_items": number_of_items, **config}))


def growth(recipe: Recipe[Any]) -> int:
    """The power of the number of items that the time to solve a recipe grows with."""
    if recipe.name in {*_DENSE, *_DENSE_IN_TIME}:
        return 3
    return 2 if recipe.name in {_HASHED, _SKETCHED} else 1


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
