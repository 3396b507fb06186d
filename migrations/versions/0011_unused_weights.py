"""When weights were last downloaded; the bytes of those that nobody uses may go.

Revision ID: 0011
Revises: 0010
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column, and let another be null: it becomes so when an older service has long been replaced."""
    op.add_column(
        "weights",
        sa.Column("used_on", sa.Date(), server_default=sa.text("CURRENT_DATE"), nullable=False),
        schema="registry",
    )
    op.alter_column("weights", "object_key", nullable=True, schema="registry")


def downgrade() -> None:
    """Take both back; refused by Postgres where bytes are gone, which nothing brings back."""
    op.alter_column("weights", "object_key", nullable=False, schema="registry")
    op.drop_column("weights", "used_on", schema="registry")
