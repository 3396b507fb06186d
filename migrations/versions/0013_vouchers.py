"""What an enrolment key demands, which person is which client, and who may not come back.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column and tables that an older service does not read; what it deletes of a client goes by itself."""
    op.add_column("enrolment_keys", sa.Column("vouchers", postgresql.JSONB(none_as_null=True)), schema="aggregator")
    # A table and no column of `clients`: an index on that one would be built under a lock that stops enrolment.
    op.create_table(
        "persons",
        sa.Column("task_id", sa.String(), nullable=False),
        sa.Column("person_hash", sa.LargeBinary(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["task_id"], ["aggregator.tasks.id"], name=op.f("fk_persons_task_id")),
        sa.ForeignKeyConstraint(
            ["client_id"], ["aggregator.clients.id"], name=op.f("fk_persons_client_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("task_id", "person_hash", name=op.f("pk_persons")),
        sa.UniqueConstraint("client_id", name=op.f("uq_persons_client_id")),
        schema="aggregator",
    )
    op.create_table(
        "refused_persons",
        sa.Column("task_id", sa.String(), nullable=False),
        sa.Column("person_hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["aggregator.tasks.id"], name=op.f("fk_refused_persons_task_id")),
        sa.PrimaryKeyConstraint("task_id", "person_hash", name=op.f("pk_refused_persons")),
        schema="aggregator",
    )


def downgrade() -> None:
    """Drop them; keys that demanded vouchers would demand none, and who was refused could come again."""
    op.drop_table("refused_persons", schema="aggregator")
    op.drop_table("persons", schema="aggregator")
    op.drop_column("enrolment_keys", "vouchers", schema="aggregator")
