"""Alembic's entry point: one history for the schemas `aggregator` and `registry`."""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from services.aggregator.storage.tables import metadata as aggregator_metadata
from services.model_registry.storage.tables import metadata as registry_metadata

SCHEMAS = ("aggregator", "registry")
PATIENCE_SECONDS = 3
LOCK = 0x66656472  # any constant: migrations of one database run one after another


def database_url() -> str:
    """From the caller, `-x url=...` or the environment, in this order."""
    url = context.config.attributes.get("url") or context.get_x_argument(as_dictionary=True).get("url")
    return str(url or os.environ["FEDREC_DATABASE_URL"])


def is_ours(name: str | None, kind: str, parents: object) -> bool:  # noqa: ARG001 - Alembic's signature
    """Compare our schemas only; `public` holds nothing but Alembic's version."""
    return name in SCHEMAS if kind == "schema" else True


def migrate(connection: Connection) -> None:
    """Run the requested revisions in one transaction."""
    context.configure(
        connection=connection,
        target_metadata=[aggregator_metadata, registry_metadata],
        include_schemas=True,
        include_name=is_ours,
        compare_server_default=True,
        version_table_schema="public",
    )
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        # A change of a table waits for the transactions that use it, and everybody else queues behind it.
        connection.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE_SECONDS}s'"))
        context.run_migrations()


engine = create_engine(database_url(), poolclass=NullPool)
with engine.connect() as connection:
    migrate(connection)
