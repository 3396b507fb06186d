"""A combined model in the registry, made of versions of other models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedrec.operator import Operator
from fedrec.refused import Refused
from fedrec.service_client import OperatorError
from fedrec_protocol import codec
from fedrec_protocol.item_catalogue import ItemCatalogue
from fedrec_protocol.problems import Slug
from fedrec_protocol.registry_messages import Lineage, Statement, VersionView
from fedrec_recipes.combined import MEMBER_WEIGHTS, Combined, CombinedConfig, NotCombinable
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
    weights: tuple[float, ...] | None
    """One for each member; None: equal ones, until devices have chosen."""
    earlier: VersionView | None
    """The combined version that the weights are of, if any."""
    privacy: Statement | None
    """What the statements of all these versions add up to; None where none has one."""


def combination_of(operator: Operator, names: Sequence[str], weights: str | None = None) -> Combination:
    """Look up versions that are to be combined.

    Args:
        operator: The registry.
        names: `MODEL`, `MODEL@ALIAS`, `MODEL@NUMBER` or `MODEL@ID` of each.
        weights: Numbers with commas between them, or such a name of a combined version that has them.

    Raises:
        Refused: they do not go together.
        ValidationError: they do not make a recipe.
        OperatorError: there is no such version.
    """
    members = tuple(_version(operator, name) for name in names)
    earlier = _version(operator, weights) if weights is not None and "@" in weights else None
    return Combination(
        members=members,
        recipe=_recipe_of(members),
        weights=_numbers(weights) if earlier is None else _weights_of(operator, earlier),
        earlier=earlier,
        # Who chose the weights of the earlier version may not be behind these members: it counts beside them.
        privacy=_privacy(members if earlier is None else (*members, earlier)),
    )


def publish(operator: Operator, model: str, parts: Combination) -> VersionView:
    """Publish the combined version; again, it is another version of the same content.

    Args:
        operator: The registry, with a key of role `run`.
        model: Name of the combined model. A member's own lets its devices fetch the version as they are.
        parts: What is combined.

    Raises:
        Refused: the members' items, tensors or weights do not fit.
        OperatorError: the registry refused.
    """
    if parts.privacy is not None and model in {member.model for member in parts.members}:
        raise Refused(f"{model} is a private member, whose statements are of its own task: choose another name")
    tensors = [codec.decode(operator.weights(member.version_id)) for member in parts.members]
    try:
        content = codec.encode(parts.recipe.combination(tensors, parts.weights))
    except NotCombinable as error:
        raise Refused(str(error)) from error
    _share_catalogue(operator, model, parts)
    lineage = Lineage(
        recipe=parts.recipe.name,
        recipe_config=parts.recipe.choice.config,
        privacy=parts.privacy,
        members=tuple(member.version_id for member in parts.members),
    )
    parent = None if parts.earlier is None else parts.earlier.version_id
    return operator.publish(model, content, lineage, parent_id=parent)


def _version(operator: Operator, name: str) -> VersionView:
    model, _, version = name.partition("@")
    return operator.version_called(model, version or PRODUCTION)


def _recipe_of(members: Sequence[VersionView]) -> Combined:
    for member in members:
        if member.lineage.recipe is None:
            raise Refused(f"version {member.number} of {member.model} was uploaded by hand, without a recipe")
    choices = [{"name": each.lineage.recipe, "config": each.lineage.recipe_config} for each in members]
    items = members[0].lineage.recipe_config.get("number_of_items")  # the recipe refuses members of other sizes
    return Combined(CombinedConfig.model_validate({"number_of_items": items, "members": choices}))


def _weights_of(operator: Operator, version: VersionView) -> tuple[float, ...]:
    if version.lineage.recipe != Combined.name:
        raise Refused(f"version {version.number} of {version.model} is not combined: it has no weights")
    return tuple(codec.decode(operator.weights(version.version_id))[MEMBER_WEIGHTS].tolist())


def _numbers(text: str | None) -> tuple[float, ...] | None:
    try:
        return None if text is None else tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise Refused(f"weights {text!r}: numbers with commas between them, e.g. 1,4, or MODEL@VERSION") from error


def _privacy(members: Sequence[VersionView]) -> Statement | None:
    """What the statements of versions come to."""
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
