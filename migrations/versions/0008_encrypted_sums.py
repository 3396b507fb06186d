"""Sums of encrypted reports, and what silos decrypt them to.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two tables that an older service does not look at."""
    op.create_table(
        "encrypted_sums",
        sa.Column("round_id", sa.String(), nullable=False),
        sa.Column("object_key", sa.String(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=False),
        sa.Column("agreed", sa.LargeBinary()),
        sa.ForeignKeyConstraint(["round_id"], ["aggregator.rounds.id"], name=op.f("fk_encrypted_sums_round_id")),
        sa.PrimaryKeyConstraint("round_id", name=op.f("pk_encrypted_sums")),
        schema="aggregator",
    )
    op.create_table(
        "decryptions",
        sa.Column("assignment_id", sa.String(), nullable=False),
        sa.Column("round_id", sa.String(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("object_key", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["aggregator.assignments.id"], name=op.f("fk_decryptions_assignment_id")
        ),
        sa.ForeignKeyConstraint(
            ["round_id"], ["aggregator.encrypted_sums.round_id"], name=op.f("fk_decryptions_round_id")
        ),
        sa.PrimaryKeyConstraint("assignment_id", name=op.f("pk_decryptions")),
        schema="aggregator",
    )
    op.create_index(op.f("ix_decryptions_round_id"), "decryptions", ["round_id"], unique=False, schema="aggregator")


def downgrade() -> None:
    """Drop them."""
    op.drop_table("decryptions", schema="aggregator")
    op.drop_table("encrypted_sums", schema="aggregator")
