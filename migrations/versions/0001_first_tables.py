"""The first tables of both services."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from services.kit.objects.tables import store_uncompressed

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


SCHEMAS = ("aggregator", "registry")


def upgrade() -> None:
    for schema in SCHEMAS:
        op.execute(f"CREATE SCHEMA {schema}")
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operator", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
        schema="aggregator",
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("holder", sa.String(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
        schema="aggregator",
    )
    op.create_table(
        "object_deletions",
        sa.Column("key", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_object_deletions")),
        schema="aggregator",
    )
    op.create_table(
        "objects",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_objects")),
        schema="aggregator",
    )
    op.create_table(
        "operator_keys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("lookup", sa.String(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_operator_keys_key_hash")),
        schema="aggregator",
    )
    op.create_index(op.f("ix_operator_keys_lookup"), "operator_keys", ["lookup"], unique=False, schema="aggregator")
    op.create_table(
        "tasks",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("manifest", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("manifest_digest", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("state_reason", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("rounds_published", sa.Integer(), nullable=False),
        sa.Column("current_version", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("rule_state_object", sa.String(), nullable=True),
        sa.Column("retry_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_tasks")),
        sa.UniqueConstraint("name", name=op.f("uq_tasks_name")),
        schema="aggregator",
    )
    op.create_index(op.f("ix_tasks_state"), "tasks", ["state"], unique=False, schema="aggregator")
    op.create_table(
        "clients",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("task_id", sa.String(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("enrolled_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["task_id"], ["aggregator.tasks.id"], name=op.f("fk_clients_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_clients")),
        sa.UniqueConstraint("task_id", "public_key", name=op.f("uq_clients_task_id_public_key")),
        schema="aggregator",
    )
    op.create_table(
        "enrolment_keys",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("task_id", sa.String(), nullable=False),
        sa.Column("lookup", sa.String(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["task_id"], ["aggregator.tasks.id"], name=op.f("fk_enrolment_keys_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_enrolment_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_enrolment_keys_key_hash")),
        schema="aggregator",
    )
    op.create_index(op.f("ix_enrolment_keys_lookup"), "enrolment_keys", ["lookup"], unique=False, schema="aggregator")
    op.create_index(op.f("ix_enrolment_keys_task_id"), "enrolment_keys", ["task_id"], unique=False, schema="aggregator")
    op.create_table(
        "object_chunks",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["key"], ["aggregator.objects.key"], name=op.f("fk_object_chunks_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", "number", name=op.f("pk_object_chunks")),
        schema="aggregator",
    )
    op.create_table(
        "privacy_ledgers",
        sa.Column("lineage", sa.String(), nullable=False),
        sa.Column("task_id", sa.String(), nullable=False),
        sa.Column("budget", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("participation_limit", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["task_id"], ["aggregator.tasks.id"], name=op.f("fk_privacy_ledgers_task_id")),
        sa.PrimaryKeyConstraint("lineage", name=op.f("pk_privacy_ledgers")),
        sa.UniqueConstraint("task_id", name=op.f("uq_privacy_ledgers_task_id")),
        schema="aggregator",
    )
    op.create_table(
        "rounds",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("task_id", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("base", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("abandoned_reason", sa.String(), server_default="", nullable=False),
        sa.Column("wrapped_key", sa.LargeBinary(), nullable=True),
        sa.Column("report_count", sa.Integer(), nullable=True),
        sa.Column("weight", sa.BigInteger(), nullable=True),
        sa.Column("evaluated", sa.Integer(), nullable=True),
        sa.Column("metrics", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.Column("result_object", sa.String(), nullable=True),
        sa.Column("rule_state_object", sa.String(), nullable=True),
        sa.Column("published_version", postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(["task_id"], ["aggregator.tasks.id"], name=op.f("fk_rounds_task_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rounds")),
        sa.UniqueConstraint("task_id", "number", name=op.f("uq_rounds_task_id_number")),
        schema="aggregator",
    )
    op.create_index(
        "uq_rounds_under_way",
        "rounds",
        ["task_id"],
        unique=True,
        schema="aggregator",
        postgresql_where=sa.text("state IN ('collecting', 'aggregating')"),
    )
    op.create_table(
        "assignments",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("round_id", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["client_id"], ["aggregator.clients.id"], name=op.f("fk_assignments_client_id")),
        sa.ForeignKeyConstraint(["round_id"], ["aggregator.rounds.id"], name=op.f("fk_assignments_round_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignments")),
        sa.UniqueConstraint("round_id", "client_id", name=op.f("uq_assignments_round_id_client_id")),
        schema="aggregator",
    )
    op.create_index(op.f("ix_assignments_client_id"), "assignments", ["client_id"], unique=False, schema="aggregator")
    op.create_table(
        "partial_sums",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("round_id", sa.String(), nullable=False),
        sa.Column("object_key", sa.String(), nullable=False),
        sa.Column("report_count", sa.Integer(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["round_id"], ["aggregator.rounds.id"], name=op.f("fk_partial_sums_round_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_partial_sums")),
        schema="aggregator",
    )
    op.create_index(op.f("ix_partial_sums_round_id"), "partial_sums", ["round_id"], unique=False, schema="aggregator")
    op.create_table(
        "privacy_charges",
        sa.Column("charge_id", sa.String(), nullable=False),
        sa.Column("lineage", sa.String(), nullable=False),
        sa.Column("round_number", sa.Integer(), nullable=False),
        sa.Column("charge", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("charged_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["lineage"], ["aggregator.privacy_ledgers.lineage"], name=op.f("fk_privacy_charges_lineage")
        ),
        sa.PrimaryKeyConstraint("charge_id", name=op.f("pk_privacy_charges")),
        schema="aggregator",
    )
    op.create_index(
        op.f("ix_privacy_charges_lineage"), "privacy_charges", ["lineage"], unique=False, schema="aggregator"
    )
    op.create_table(
        "secure_rounds",
        sa.Column("round_id", sa.String(), nullable=False),
        sa.Column("phase", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("offer", sa.LargeBinary(), nullable=False),
        sa.Column("roster", sa.LargeBinary(), nullable=True),
        sa.Column("sharers", sa.LargeBinary(), nullable=True),
        sa.Column("survivors", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["round_id"], ["aggregator.rounds.id"], name=op.f("fk_secure_rounds_round_id")),
        sa.PrimaryKeyConstraint("round_id", name=op.f("pk_secure_rounds")),
        schema="aggregator",
    )
    op.create_table(
        "receipts",
        sa.Column("report_id", sa.String(), nullable=False),
        sa.Column("assignment_id", sa.String(), nullable=False),
        sa.Column("round_id", sa.String(), nullable=False),
        sa.Column("partial_sum_id", sa.String(), nullable=False),
        sa.Column("body_sha256", sa.LargeBinary(), nullable=False),
        sa.Column("accepted_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["aggregator.assignments.id"], name=op.f("fk_receipts_assignment_id")
        ),
        sa.ForeignKeyConstraint(["round_id"], ["aggregator.rounds.id"], name=op.f("fk_receipts_round_id")),
        sa.PrimaryKeyConstraint("report_id", name=op.f("pk_receipts")),
        sa.UniqueConstraint("assignment_id", name=op.f("uq_receipts_assignment_id")),
        schema="aggregator",
    )
    op.create_index(op.f("ix_receipts_round_id"), "receipts", ["round_id"], unique=False, schema="aggregator")
    op.create_table(
        "secure_participants",
        sa.Column("assignment_id", sa.String(), nullable=False),
        sa.Column("round_id", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=True),
        sa.Column("advert", sa.LargeBinary(), nullable=False),
        sa.Column("shares", sa.LargeBinary(), nullable=True),
        sa.Column("inbox", sa.LargeBinary(), nullable=True),
        sa.Column("acknowledgement", sa.LargeBinary(), nullable=True),
        sa.Column("reveal", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["aggregator.assignments.id"], name=op.f("fk_secure_participants_assignment_id")
        ),
        sa.ForeignKeyConstraint(
            ["round_id"], ["aggregator.secure_rounds.round_id"], name=op.f("fk_secure_participants_round_id")
        ),
        sa.PrimaryKeyConstraint("assignment_id", name=op.f("pk_secure_participants")),
        schema="aggregator",
    )
    op.create_index(
        op.f("ix_secure_participants_round_id"), "secure_participants", ["round_id"], unique=False, schema="aggregator"
    )
    op.create_table(
        "audit_log",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("operator", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_log")),
        schema="registry",
    )
    op.create_table(
        "models",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_models")),
        schema="registry",
    )
    op.create_table(
        "object_deletions",
        sa.Column("key", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_object_deletions")),
        schema="registry",
    )
    op.create_table(
        "objects",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_objects")),
        schema="registry",
    )
    op.create_table(
        "operator_keys",
        sa.Column("key_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("lookup", sa.String(), nullable=False),
        sa.Column("key_hash", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("key_id", name=op.f("pk_operator_keys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_operator_keys_key_hash")),
        schema="registry",
    )
    op.create_index(op.f("ix_operator_keys_lookup"), "operator_keys", ["lookup"], unique=False, schema="registry")
    op.create_table(
        "object_chunks",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["key"], ["registry.objects.key"], name=op.f("fk_object_chunks_key"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("key", "number", name=op.f("pk_object_chunks")),
        schema="registry",
    )
    op.create_table(
        "weights",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("object_key", sa.String(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("tensors", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("compressed_key", sa.String(), nullable=True),
        sa.Column("compressed_bytes", sa.BigInteger(), nullable=True),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["compressed_key"], ["registry.objects.key"], name=op.f("fk_weights_compressed_key")),
        sa.ForeignKeyConstraint(["object_key"], ["registry.objects.key"], name=op.f("fk_weights_object_key")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_weights")),
        schema="registry",
    )
    op.create_index(op.f("ix_weights_compressed_key"), "weights", ["compressed_key"], unique=False, schema="registry")
    op.create_index(op.f("ix_weights_object_key"), "weights", ["object_key"], unique=False, schema="registry")
    op.create_table(
        "versions",
        sa.Column("version_id", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("parent_id", sa.String(), nullable=True),
        sa.Column("round_id", sa.String(), nullable=True),
        sa.Column("lineage", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["registry.weights.digest"], name=op.f("fk_versions_digest")),
        sa.ForeignKeyConstraint(["model"], ["registry.models.name"], name=op.f("fk_versions_model")),
        sa.ForeignKeyConstraint(["parent_id"], ["registry.versions.version_id"], name=op.f("fk_versions_parent_id")),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_versions")),
        sa.UniqueConstraint("model", "number", name=op.f("uq_versions_model_number")),
        sa.UniqueConstraint("model", "round_id", name=op.f("uq_versions_model_round_id")),
        schema="registry",
    )
    op.create_index(op.f("ix_versions_digest"), "versions", ["digest"], unique=False, schema="registry")
    op.create_table(
        "alias_moves",
        sa.Column("number", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("alias", sa.String(), nullable=False),
        sa.Column("from_version_id", sa.String(), nullable=True),
        sa.Column("to_version_id", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("operator", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["from_version_id"], ["registry.versions.version_id"], name=op.f("fk_alias_moves_from_version_id")
        ),
        sa.ForeignKeyConstraint(
            ["to_version_id"], ["registry.versions.version_id"], name=op.f("fk_alias_moves_to_version_id")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_alias_moves")),
        schema="registry",
    )
    op.create_index(
        op.f("ix_alias_moves_model_alias_number"),
        "alias_moves",
        ["model", "alias", "number"],
        unique=False,
        schema="registry",
    )
    op.create_table(
        "aliases",
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("alias", sa.String(), nullable=False),
        sa.Column("version_id", sa.String(), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["model"], ["registry.models.name"], name=op.f("fk_aliases_model")),
        sa.ForeignKeyConstraint(["version_id"], ["registry.versions.version_id"], name=op.f("fk_aliases_version_id")),
        sa.PrimaryKeyConstraint("model", "alias", name=op.f("pk_aliases")),
        schema="registry",
    )
    op.create_table(
        "version_metrics",
        sa.Column("version_id", sa.String(), nullable=False),
        sa.Column("metrics", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("evaluated", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"], ["registry.versions.version_id"], name=op.f("fk_version_metrics_version_id")
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_version_metrics")),
        schema="registry",
    )
    for schema in SCHEMAS:
        op.execute(store_uncompressed(schema))


def downgrade() -> None:
    for schema in reversed(SCHEMAS):
        op.execute(f"DROP SCHEMA {schema} CASCADE")
