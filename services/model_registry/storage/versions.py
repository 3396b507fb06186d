"""Immutable versions of a model, and the metrics that are measured of them later."""

from typing import Any

from sqlalchemy import Connection, Row, Select, func, select
from sqlalchemy.dialects.postgresql import insert

from fedrec_protocol.registry_messages import MetricsRequest, VersionRequest, VersionView
from services.kit.ids import new_id
from services.model_registry.domain.errors import UnknownVersion
from services.model_registry.storage.tables import catalogue_versions, version_metrics, versions, weights


def add(tx: Connection, model: str, request: VersionRequest) -> VersionView:
    """Insert the next version of a model, which the transaction has locked."""
    version_id = new_id("ver")
    catalogue = select(func.max(catalogue_versions.c.number)).where(catalogue_versions.c.model == model)
    newest = select(func.coalesce(func.max(versions.c.number) + 1, 0)).where(versions.c.model == model)
    tx.execute(
        insert(versions).values(
            version_id=version_id,
            model=model,
            number=newest.scalar_subquery(),
            digest=request.digest,
            parent_id=request.parent_id,
            round_id=request.lineage.round_id,
            catalogue_number=catalogue.scalar_subquery(),
            lineage=request.lineage.model_dump(mode="json"),
        )
    )
    return get(tx, version_id)


def get(tx: Connection, version_id: str) -> VersionView:
    """Read a version.

    Raises:
        UnknownVersion: there is none with this id.
    """
    found = _find(tx, _views().where(versions.c.version_id == version_id))
    if found is None:
        raise UnknownVersion(f"there is no version {version_id!r}")
    return found


def of_round(tx: Connection, model: str, round_id: str) -> VersionView | None:
    """The version of a model that came of a round, if it was published."""
    return _find(tx, _views().where(versions.c.model == model, versions.c.round_id == round_id))


def page(tx: Connection, model: str, *, before: int, limit: int) -> list[VersionView]:
    """Versions of a model, newest first, from the first one before number `before`."""
    query = _views().where(versions.c.model == model, versions.c.number < before)
    return [_view(row) for row in tx.execute(query.order_by(versions.c.number.desc()).limit(limit))]


def put_metrics(tx: Connection, version_id: str, request: MetricsRequest) -> None:
    """Record metrics, in place of those recorded before; the version exists."""
    values = {"metrics": request.metrics, "evaluated": request.evaluated, "recorded_at": func.now()}
    row = insert(version_metrics).values(version_id=version_id, **values)
    tx.execute(row.on_conflict_do_update(index_elements=["version_id"], set_=values))


def _views() -> Select[Any]:
    return (
        select(
            *(column for column in versions.c if column.name != "round_id"),
            weights.c.size_bytes,
            weights.c.tensors,
            weights.c.object_key.is_not(None).label("has_weights"),
            func.coalesce(version_metrics.c.metrics, func.jsonb_build_object()).label("metrics"),
            func.coalesce(version_metrics.c.evaluated, 0).label("evaluated"),
        )
        .join(weights, weights.c.digest == versions.c.digest)
        .outerjoin(version_metrics, version_metrics.c.version_id == versions.c.version_id)
    )


def _find(tx: Connection, query: Select[Any]) -> VersionView | None:
    row = tx.execute(query).one_or_none()
    return None if row is None else _view(row)


def _view(row: Row[Any]) -> VersionView:
    return VersionView.model_validate(row._asdict())
