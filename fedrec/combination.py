"""A combined model in the registry, made of versions of other models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedrec.operator import Operator
from fedrec.refused import Refused
from fedrec.service_client import OperatorError
from fedrec_protocol import codec
from fedrec_protocol.item_catalogue import ItemCatalogue
from fedrec_protocol.manifest import RecipeChoice
from fedrec_protocol.problems import Slug
from fedrec_protocol.registry_messages import Lineage, Statement, VersionView
from fedrec_recipes import catalogue
from fedrec_recipes.combined import MEMBER_WEIGHTS, Combined, NotCombinable
from services.aggregator.domain.privacy.composition import NotAStatement, composed

PRODUCTION = "production"
"""The alias that a member is taken by where none is named."""


@dataclass(frozen=True)
class Combination:
    """Versions that go together, and what is made of them."""

    members: tuple[VersionView, ...]
    """In order."""
    recipe: Combined
    """Their recipes, combined."""
    privacy: Statement | None
    """What their statements add up to; None where none has one."""


def combination_of(operator: Operator, names: Sequence[str]) -> Combination:
    """Look up versions that are to be combined.

    Args:
        operator: The registry.
        names: `MODEL`, `MODEL@ALIAS`, `MODEL@NUMBER` or `MODEL@ID` of each.

    Raises:
        Refused: they do not go together.
        OperatorError: there is no such version.
    """
    members = tuple(_version(operator, name) for name in names)
    choices = tuple(_recipe_of(member) for member in members)
    config = {"number_of_items": _number_of_items(members), "members": [each.model_dump() for each in choices]}
    recipe = catalogue.recipe(RecipeChoice(name=Combined.name, config=config))
    if not isinstance(recipe, Combined):
        raise TypeError(f"recipe {Combined.name!r} is another one here")
    return Combination(members, recipe, _privacy(members))


def weights_of(operator: Operator, text: str) -> list[float]:
    """Weights that somebody typed: numbers with commas between them, or the name of a combined version that has them.

    Raises:
        Refused: neither.
        OperatorError: there is no such version.
    """
    if "@" in text:
        version = _version(operator, text)
        if version.lineage.recipe != Combined.name:
            raise Refused(f"version {version.number} of {version.model} is not combined: it has no weights")
        chosen: list[float] = codec.decode(operator.weights(version.version_id))[MEMBER_WEIGHTS].tolist()
        return chosen
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise Refused(f"weights {text!r}: numbers with commas between them, e.g. 1,4, or MODEL@VERSION") from error


def publish(operator: Operator, model: str, parts: Combination, weights: Sequence[float] | None) -> VersionView:
    """Publish the combined version; the same combination again is the same version.

    Args:
        operator: The registry, with a key of role `run`.
        model: Name of the combined model, none of the members'.
        parts: What is combined.
        weights: One for each member; None: equal ones.

    Raises:
        Refused: the members' items, tensors or weights do not fit.
        OperatorError: the registry refused.
    """
    if model in {member.model for member in parts.members}:
        raise Refused(f"{model} is one of the members: give the combined model a name of its own")
    tensors = [codec.decode(operator.weights(member.version_id)) for member in parts.members]
    try:
        content = codec.encode(parts.recipe.combination(tensors, weights))
    except NotCombinable as error:
        raise Refused(str(error)) from error
    _share_catalogue(operator, model, parts)
    lineage = Lineage(
        recipe=parts.recipe.name,
        recipe_config=parts.recipe.choice.config,
        privacy=parts.privacy,
        members=tuple(member.version_id for member in parts.members),
    )
    return operator.publish(model, content, lineage)


def _version(operator: Operator, name: str) -> VersionView:
    model, _, version = name.partition("@")
    return operator.version_called(model, version or PRODUCTION)


def _recipe_of(member: VersionView) -> RecipeChoice:
    if member.lineage.recipe is None:
        raise Refused(f"version {member.number} of {member.model} was uploaded by hand, without a recipe")
    return RecipeChoice(name=member.lineage.recipe, config=member.lineage.recipe_config)


def _number_of_items(members: Sequence[VersionView]) -> Any:
    """Of the first member; the recipe refuses others of another size."""
    return next((member.lineage.recipe_config.get("number_of_items") for member in members), None)


def _privacy(members: Sequence[VersionView]) -> Statement | None:
    """What the members' statements come to."""
    statements = [member.lineage.privacy for member in members if member.lineage.privacy is not None]
    if not statements:
        return None
    if len(statements) < len(members):
        open_ones = ", ".join(member.model for member in members if member.lineage.privacy is None)
        raise Refused(f"{open_ones} made no promise of privacy, and the others did: of the sum none would hold")
    try:
        return composed(statements)
    except NotAStatement as error:
        raise Refused(f"the members' privacy does not add up: {error}") from error


def _share_catalogue(operator: Operator, model: str, parts: Combination) -> None:
    """Give the combined model the members' catalogue of items, where they have one."""
    of_members = {member.model: _items(operator, member.model) for member in parts.members}
    known = {name: items for name, items in of_members.items() if items is not None}
    if not known:
        return
    if len(known) < len(of_members):
        without = ", ".join(name for name, items in of_members.items() if items is None)
        raise Refused(f"{without} has no catalogue of items, and the others have: nobody knows whether rows agree")
    before = _items(operator, model) or ItemCatalogue()
    together = _agreed({**known, model: before})
    operator.make_catalogue(model, parts.recipe.config.number_of_items)
    retired = [together.item_ids[row] for row in sorted(together.retired - before.retired)]
    operator.change_catalogue(model, add=together.item_ids[len(before) :], retire=retired)


def _agreed(catalogues: Mapping[str, ItemCatalogue]) -> ItemCatalogue:
    """The longest of them, with what any of them has retired; each is the beginning of it."""
    longest = max(catalogues.values(), key=len)
    for name, items in catalogues.items():
        if items.item_ids != longest.item_ids[: len(items)]:
            raise Refused(f"the catalogue of {name} has other items in its rows than the others")
    return ItemCatalogue(longest.item_ids, frozenset().union(*(items.retired for items in catalogues.values())))


def _items(operator: Operator, model: str) -> ItemCatalogue | None:
    try:
        return ItemCatalogue().with_changes(operator.catalogue(model).changes)
    except OperatorError as refusal:
        if refusal.slug not in {Slug.UNKNOWN_CATALOGUE, Slug.UNKNOWN_MODEL}:
            raise
        return None
