"""Who asked which process recently, so that each of them knows how many there are.

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table that an older service does not read."""
    op.create_table(
        "demand_sketches",
        sa.Column("task_id", sa.String(), nullable=False),
        sa.Column("process_id", sa.String(), nullable=False),
        sa.Column("span", sa.BigInteger(), nullable=False),
        sa.Column("smallest", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["aggregator.tasks.id"], name=op.f("fk_demand_sketches_task_id")),
        sa.PrimaryKeyConstraint("task_id", "process_id", "span", name=op.f("pk_demand_sketches")),
        schema="aggregator",
    )
    op.create_index(op.f("ix_demand_sketches_span"), "demand_sketches", ["span"], schema="aggregator")


def downgrade() -> None:
    """Drop it."""
    op.drop_table("demand_sketches", schema="aggregator")
