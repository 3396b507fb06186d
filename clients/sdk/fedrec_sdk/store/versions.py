"""Which model versions this device knows, and which of them its aliases name."""

from dataclasses import dataclass

from fedrec_protocol.manifest import RecipeChoice
from fedrec_protocol.messages import ModelReference
from fedrec_protocol.registry_messages import VersionView
from fedrec_sdk.store.database import StoreDatabase

_BY_NAME = """
SELECT version_id, model, number, digest, size_bytes, recipe FROM version
WHERE version_id = coalesce((SELECT version_id FROM alias WHERE model = ? AND alias = ?), ?)
"""
_NEWEST = """
SELECT version_id, model, number, digest, size_bytes, recipe FROM version
WHERE model = ? ORDER BY number DESC LIMIT 1
"""


@dataclass(frozen=True)
class ModelVersion:
    """A model version whose weights were downloaded."""

    version_id: str
    """Opaque id in the registry."""
    model: str
    """Name of the model."""
    number: int
    """Number in its model, from 0."""
    digest: str
    """SHA-256 of the weights, in hexadecimal."""
    size_bytes: int
    """Size of the weights."""
    recipe: RecipeChoice | None = None
    """The recipe that scores with these weights; None when the registry was not asked."""


def referenced(reference: ModelReference) -> ModelVersion:
    """The version that an assignment is based on."""
    return ModelVersion(reference.version_id, reference.model, reference.number, reference.digest, reference.size_bytes)


def published(view: VersionView) -> ModelVersion:
    """A version as the registry describes it."""
    recipe = view.lineage.recipe
    return ModelVersion(
        view.version_id,
        view.model,
        view.number,
        view.digest,
        view.size_bytes,
        None if recipe is None else RecipeChoice(name=recipe, config=view.lineage.recipe_config),
    )


class KnownVersions:
    """Versions by id and by alias."""

    def __init__(self, database: StoreDatabase) -> None:
        self._database = database

    def remember(self, version: ModelVersion, alias: str | None = None) -> None:
        """Keep a version's description, and what the alias now names."""
        recipe = None if version.recipe is None else version.recipe.model_dump_json()
        with self._database.transaction() as tx:
            # The description from the registry is richer than the one in an assignment: it stays.
            tx.execute(
                "INSERT INTO version VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (version_id)"
                " DO UPDATE SET recipe = coalesce(excluded.recipe, recipe)",
                (version.version_id, version.model, version.number, version.digest, version.size_bytes, recipe),
            )
            if alias is not None:
                tx.execute("INSERT OR REPLACE INTO alias VALUES (?, ?, ?)", (version.model, alias, version.version_id))

    def find(self, model: str, name: str) -> ModelVersion | None:
        """The version that an alias of the model names, or that has this id."""
        return self._first(_BY_NAME, (model, name, name))

    def newest(self, model: str) -> ModelVersion | None:
        """The version of the model that was numbered last, among those known."""
        return self._first(_NEWEST, (model,))

    def pinned_digests(self) -> frozenset[str]:
        """Weights that an alias names: never evicted."""
        with self._database.transaction() as tx:
            rows = tx.execute("SELECT digest FROM version JOIN alias USING (version_id)").fetchall()
        return frozenset(digest for (digest,) in rows)

    def forget_all_but(self, digests: frozenset[str]) -> None:
        """Forget the versions whose weights are gone."""
        with self._database.transaction() as tx:
            known = {digest for (digest,) in tx.execute("SELECT digest FROM version")}
            tx.executemany("DELETE FROM version WHERE digest = ?", [(digest,) for digest in known - digests])

    def _first(self, query: str, parameters: tuple[str, ...]) -> ModelVersion | None:
        with self._database.transaction() as tx:
            row = tx.execute(query, parameters).fetchone()
        if row is None:
            return None
        version_id, model, number, digest, size_bytes, recipe = row
        choice = None if recipe is None else RecipeChoice.model_validate_json(recipe)
        return ModelVersion(version_id, model, number, digest, size_bytes, choice)
