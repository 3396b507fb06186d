"""`fedrec migrate`: bring a deployment's database to the newest schema."""

from __future__ import annotations

from typing import Annotated

import typer


def migrate(
    database_url: Annotated[str, typer.Option(envvar="FEDREC_DATABASE_URL", help="postgresql+psycopg://...")],
    revision: Annotated[str, typer.Option(help="Alembic revision to stop at.")] = "head",
) -> None:
    """Upgrade the database; safe to run again, and by several at once."""
    from fedrec.local.migrate import upgrade  # noqa: PLC0415 - no other command need load Alembic

    upgrade(database_url, revision)
    typer.echo(f"the database is at {revision}")
