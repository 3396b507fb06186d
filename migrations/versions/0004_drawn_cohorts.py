"""How many participants the server has drawn for a round."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("rounds", sa.Column("drawn", sa.Integer(), nullable=True), schema="aggregator")


def downgrade() -> None:
    op.drop_column("rounds", "drawn", schema="aggregator")
