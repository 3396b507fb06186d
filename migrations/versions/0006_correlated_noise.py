"""What a lineage with correlated noise remembers."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("privacy_ledgers", sa.Column("noise_key", sa.LargeBinary(), nullable=True), schema="aggregator")
    op.create_table(
        "noise_vectors",
        sa.Column("lineage", sa.String(), nullable=False),
        sa.Column("round_number", sa.Integer(), nullable=False),
        sa.Column("object_key", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["lineage"], ["aggregator.privacy_ledgers.lineage"], name=op.f("fk_noise_vectors_lineage")
        ),
        sa.PrimaryKeyConstraint("lineage", "round_number", name=op.f("pk_noise_vectors")),
        schema="aggregator",
    )


def downgrade() -> None:
    op.drop_table("noise_vectors", schema="aggregator")
    op.drop_column("privacy_ledgers", "noise_key", schema="aggregator")
