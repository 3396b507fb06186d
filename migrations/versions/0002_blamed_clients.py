"""Rounds remember who was at fault in them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rounds", sa.Column("blamed", postgresql.JSONB(), nullable=True), schema="aggregator")


def downgrade() -> None:
    op.drop_column("rounds", "blamed", schema="aggregator")
