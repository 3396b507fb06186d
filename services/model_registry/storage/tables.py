"""The registry's tables. Rows of versions are never changed, only added; of weights the bytes may go."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.kit.objects import object_tables

SCHEMA = "registry"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)

object_homes = object_tables(metadata, SCHEMA)


def _moment(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


models = Table(
    "models",
    metadata,
    Column("name", String, primary_key=True),
    Column("description", String, nullable=False),
    _moment("created_at"),
)

weights = Table(
    "weights",
    metadata,
    Column("digest", String, primary_key=True),
    Column("object_key", ForeignKey(object_homes.objects.c.key)),  # null: deleted, since nobody used them
    Column("size_bytes", BigInteger, nullable=False),
    Column("tensors", JSONB, nullable=False),
    Column("compressed_key", ForeignKey(object_homes.objects.c.key)),
    Column("compressed_bytes", BigInteger),
    _moment("uploaded_at"),
    Column("used_on", Date, nullable=False, server_default=text("CURRENT_DATE")),  # when they were last downloaded
    Index(None, "object_key"),
    Index(None, "used_on", postgresql_where=text("object_key IS NOT NULL")),
    Index(None, "compressed_key"),
)

versions = Table(
    "versions",
    metadata,
    Column("version_id", String, primary_key=True),
    Column("model", ForeignKey(models.c.name), nullable=False),
    Column("number", Integer, nullable=False),
    Column("digest", ForeignKey(weights.c.digest), nullable=False),
    Column("parent_id", ForeignKey("registry.versions.version_id")),
    Column("round_id", String),
    Column("lineage", JSONB, nullable=False),
    Column("catalogue_number", Integer),
    _moment("created_at"),
    UniqueConstraint("model", "number"),
    UniqueConstraint("model", "round_id"),
    Index(None, "digest"),
)

version_metrics = Table(
    "version_metrics",
    metadata,
    Column("version_id", ForeignKey(versions.c.version_id), primary_key=True),
    Column("metrics", JSONB, nullable=False),
    Column("evaluated", BigInteger, nullable=False),
    _moment("recorded_at"),
)

aliases = Table(
    "aliases",
    metadata,
    Column("model", ForeignKey(models.c.name), primary_key=True),
    Column("alias", String, primary_key=True),
    Column("version_id", ForeignKey(versions.c.version_id), nullable=False),
    _moment("moved_at"),
)

alias_moves = Table(
    "alias_moves",
    metadata,
    Column("number", BigInteger, Identity(always=True), primary_key=True),
    Column("model", String, nullable=False),
    Column("alias", String, nullable=False),
    Column("from_version_id", ForeignKey(versions.c.version_id)),
    Column("to_version_id", ForeignKey(versions.c.version_id), nullable=False),
    Column("action", String, nullable=False),
    Column("operator", String, nullable=False),
    Column("reason", String, nullable=False),
    _moment("moved_at"),
    Index(None, "model", "alias", "number"),
)

catalogues = Table(
    "catalogues",
    metadata,
    Column("model", ForeignKey(models.c.name), primary_key=True),
    Column("capacity", Integer, nullable=False),
)

catalogue_versions = Table(
    "catalogue_versions",
    metadata,
    Column("model", ForeignKey(catalogues.c.model), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("digest", String, nullable=False),
    _moment("created_at"),
)

catalogue_changes = Table(
    "catalogue_changes",
    metadata,
    Column("model", String, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("index", Integer, primary_key=True),
    Column("item_id", String, nullable=False),
    Column("is_retired", Boolean, nullable=False),
    ForeignKeyConstraint(
        ["model", "number"], ["registry.catalogue_versions.model", "registry.catalogue_versions.number"]
    ),
)

operator_keys = Table(
    "operator_keys",
    metadata,
    Column("key_id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("role", String, CheckConstraint("role IN ('read', 'run', 'admin')", name="role"), nullable=False),
    Column("lookup", String, nullable=False),
    Column("key_hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    Index(None, "lookup"),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _moment("at"),
    Column("operator", String, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
    Index(None, "at"),
)
