"""What is left of the assignments of rounds that are over."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "rounds", sa.Column("kept", sa.String(), server_default="everything", nullable=False), schema="aggregator"
    )
    op.create_index(
        op.f("ix_rounds_closed_at"),
        "rounds",
        ["closed_at"],
        schema="aggregator",
        postgresql_where=sa.text("kept <> 'nothing'"),
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_rounds_closed_at"), table_name="rounds", schema="aggregator")
    op.drop_column("rounds", "kept", schema="aggregator")
