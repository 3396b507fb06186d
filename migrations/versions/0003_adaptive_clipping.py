"""The clipping norm of a round, where it is adaptive.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two nullable columns: an older service leaves them empty."""
    op.add_column("rounds", sa.Column("clipping_norm", sa.Double()), schema="aggregator")
    op.add_column("rounds", sa.Column("next_clipping_norm", sa.Double()), schema="aggregator")


def downgrade() -> None:
    """Drop them."""
    op.drop_column("rounds", "next_clipping_norm", schema="aggregator")
    op.drop_column("rounds", "clipping_norm", schema="aggregator")
