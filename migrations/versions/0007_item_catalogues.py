"""Catalogues of items, and which one a version was published under.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add tables, and a nullable column that an older service leaves empty."""
    op.create_table(
        "catalogues",
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["registry.models.name"], name=op.f("fk_catalogues_model")),
        sa.PrimaryKeyConstraint("model", name=op.f("pk_catalogues")),
        schema="registry",
    )
    op.create_table(
        "catalogue_versions",
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["registry.catalogues.model"], name=op.f("fk_catalogue_versions_model")),
        sa.PrimaryKeyConstraint("model", "number", name=op.f("pk_catalogue_versions")),
        schema="registry",
    )
    op.create_table(
        "catalogue_changes",
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("index", sa.Integer(), nullable=False),
        sa.Column("item_id", sa.String(), nullable=False),
        sa.Column("is_retired", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["model", "number"],
            ["registry.catalogue_versions.model", "registry.catalogue_versions.number"],
            name=op.f("fk_catalogue_changes_model_number"),
        ),
        sa.PrimaryKeyConstraint("model", "number", "index", name=op.f("pk_catalogue_changes")),
        schema="registry",
    )
    op.add_column("versions", sa.Column("catalogue_number", sa.Integer()), schema="registry")


def downgrade() -> None:
    """Drop them."""
    op.drop_column("versions", "catalogue_number", schema="registry")
    for table in ("catalogue_changes", "catalogue_versions", "catalogues"):
        op.drop_table(table, schema="registry")
