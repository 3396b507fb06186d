"""When a client was last seen, who is to be erased, which keys stay refused, of which database a ledger is.

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add columns and tables that an older service does not read."""
    # No index: it would be built under a lock that stops enrolment, and each day's change of a row would change it too.
    op.add_column(
        "clients",
        sa.Column("seen_on", sa.Date(), server_default=sa.text("CURRENT_DATE"), nullable=False),
        schema="aggregator",
    )
    op.create_table(
        "erasures",
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["aggregator.clients.id"], name=op.f("fk_erasures_client_id")),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_erasures")),
        schema="aggregator",
    )
    op.create_table(
        "refused_keys",
        sa.Column("task_id", sa.String(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["aggregator.tasks.id"], name=op.f("fk_refused_keys_task_id")),
        sa.PrimaryKeyConstraint("task_id", "key_hash", name=op.f("pk_refused_keys")),
        schema="aggregator",
    )
    op.add_column("privacy_ledgers", sa.Column("incarnation", sa.String()), schema="aggregator")


def downgrade() -> None:
    """Drop them; keys that are refused would be accepted again."""
    op.drop_column("privacy_ledgers", "incarnation", schema="aggregator")
    op.drop_table("refused_keys", schema="aggregator")
    op.drop_table("erasures", schema="aggregator")
    op.drop_column("clients", "seen_on", schema="aggregator")
