"""The aggregator's tables, in the Postgres schema `aggregator`."""

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.kit.objects import object_tables

SCHEMA = "aggregator"

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    },
)

objects = object_tables(metadata, SCHEMA)

_Time = DateTime(timezone=True)

operator_keys = Table(
    "operator_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("lookup", String, nullable=False, index=True),
    Column("key_hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", _Time, nullable=False),
    Column("expires_at", _Time),
    Column("revoked_at", _Time),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("at", _Time, nullable=False, index=True),
    Column("operator", String, nullable=False),
    Column("action", String, nullable=False),
    Column("subject", String, nullable=False),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("manifest", JSONB, nullable=False),
    Column("manifest_digest", String, nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("state_reason", String, nullable=False),
    Column("created_at", _Time, nullable=False),
    Column("rounds_published", Integer, nullable=False),
    Column("current_version", JSONB(none_as_null=True)),
    Column("rule_state_object", String),
    Column("retry_at", _Time),
)

enrolment_keys = Table(
    "enrolment_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("task_id", ForeignKey(tasks.c.id), nullable=False, index=True),
    Column("lookup", String, nullable=False, index=True),
    Column("key_hash", LargeBinary, nullable=False, unique=True),
    Column("created_at", _Time, nullable=False),
    Column("expires_at", _Time),
    Column("revoked_at", _Time),
    Column("vouchers", JSONB(none_as_null=True)),
)

clients = Table(
    "clients",
    metadata,
    Column("id", String, primary_key=True),
    Column("task_id", ForeignKey(tasks.c.id), nullable=False),
    Column("public_key", LargeBinary, nullable=False),
    Column("enrolled_at", _Time, nullable=False),
    Column("revoked_at", _Time),
    Column("seen_on", Date, nullable=False, server_default=text("CURRENT_DATE")),  # when it last got a token
    UniqueConstraint("task_id", "public_key"),
)

# Of clients that somebody has vouched for.
persons = Table(
    "persons",
    metadata,
    Column("task_id", ForeignKey(tasks.c.id), primary_key=True),
    Column("person_hash", LargeBinary, primary_key=True),
    Column("client_id", ForeignKey(clients.c.id, ondelete="CASCADE"), unique=True),  # null while it is made
)

# Of clients that are to be erased as soon as no round under way needs them.
erasures = Table(
    "erasures",
    metadata,
    Column("client_id", ForeignKey(clients.c.id), primary_key=True),
    Column("asked_at", _Time, nullable=False),
)

# All that is left of clients that were erased, or revoked and forgotten.
refused_keys = Table(
    "refused_keys",
    metadata,
    Column("task_id", ForeignKey(tasks.c.id), primary_key=True),
    Column("key_hash", LargeBinary, primary_key=True),
)

# The same of those that were a person's.
refused_persons = Table(
    "refused_persons",
    metadata,
    Column("task_id", ForeignKey(tasks.c.id), primary_key=True),
    Column("person_hash", LargeBinary, primary_key=True),
)

rounds = Table(
    "rounds",
    metadata,
    Column("id", String, primary_key=True),
    Column("task_id", ForeignKey(tasks.c.id), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("state", String, nullable=False),
    Column("base", JSONB, nullable=False),
    Column("opened_at", _Time, nullable=False),
    Column("deadline", _Time, nullable=False),
    Column("closed_at", _Time),
    Column("abandoned_reason", String, nullable=False, server_default=""),
    Column("wrapped_key", LargeBinary),  # erased when the sum has been taken
    Column("report_count", Integer),  # this and the rest: what came of it
    Column("weight", BigInteger),
    Column("evaluated", Integer),
    Column("metrics", JSONB(none_as_null=True)),
    Column("result_object", String),  # the next parameters, until they are published
    Column("rule_state_object", String),
    Column("published_version", JSONB(none_as_null=True)),
    Column("blamed", JSONB(none_as_null=True)),  # what is held against whom: words by client id
    Column("clipping_norm", Double),  # where clipping is adaptive: this round's, and what it says of the next one's
    Column("next_clipping_norm", Double),
    Column("drawn", Integer),  # where the server draws: participants it has drawn
    Column("kept", String, nullable=False, server_default="everything"),  # what is left of its assignments
    UniqueConstraint("task_id", "number"),
    # At most one round of a task is under way: two workers cannot open the same one.
    Index(
        "uq_rounds_under_way",
        "task_id",
        unique=True,
        postgresql_where=text("state IN ('collecting', 'aggregating')"),
    ),
    Index(None, "closed_at", postgresql_where=text("kept <> 'nothing'")),
    Index(None, "task_id", postgresql_where=text("blamed IS NOT NULL")),
)

assignments = Table(
    "assignments",
    metadata,
    Column("id", String, primary_key=True),
    Column("round_id", ForeignKey(rounds.c.id), nullable=False),
    Column("client_id", ForeignKey(clients.c.id), nullable=False, index=True),
    Column("issued_at", _Time, nullable=False),
    Column("expires_at", _Time, nullable=False),
    UniqueConstraint("round_id", "client_id"),
)

receipts = Table(
    "receipts",
    metadata,
    Column("report_id", String, primary_key=True),
    Column("assignment_id", ForeignKey(assignments.c.id), nullable=False, unique=True),
    Column("round_id", ForeignKey(rounds.c.id), nullable=False, index=True),
    Column("partial_sum_id", String, nullable=False),
    Column("body_sha256", LargeBinary, nullable=False),
    Column("accepted_at", _Time, nullable=False),
)

partial_sums = Table(
    "partial_sums",
    metadata,
    Column("id", String, primary_key=True),
    Column("round_id", ForeignKey(rounds.c.id), nullable=False, index=True),
    Column("object_key", String, nullable=False),
    Column("report_count", Integer, nullable=False),
    Column("updated_at", _Time, nullable=False),
)

# Both are emptied in the transaction that ends a round: its secrets do not outlive it.
secure_rounds = Table(
    "secure_rounds",
    metadata,
    Column("round_id", ForeignKey(rounds.c.id), primary_key=True),
    Column("phase", String, nullable=False),
    Column("since", _Time, nullable=False),
    Column("offer", LargeBinary, nullable=False),  # the signed descriptor, as JSON
    Column("roster", LargeBinary),  # what each phase froze, as JSON exactly as it is published
    Column("sharers", LargeBinary),  # a bitmap
    Column("survivors", LargeBinary),
)

secure_participants = Table(
    "secure_participants",
    metadata,
    Column("assignment_id", ForeignKey(assignments.c.id), primary_key=True),
    Column("round_id", ForeignKey(secure_rounds.c.round_id), nullable=False, index=True),
    Column("position", Integer),  # on the roster; null until it is frozen
    Column("advert", LargeBinary, nullable=False),  # this and the next: messages as JSON
    Column("shares", LargeBinary),
    Column("inbox", LargeBinary),  # what the neighbours sealed for this participant
    Column("acknowledgement", LargeBinary),
    Column("reveal", LargeBinary),  # sealed with the round's key
)

# Both are emptied, with their objects, in the transaction that ends a round of encrypted reports.
encrypted_sums = Table(
    "encrypted_sums",
    metadata,
    Column("round_id", ForeignKey(rounds.c.id), primary_key=True),
    Column("object_key", String, nullable=False),  # the words, sealed with the round's key
    Column("sha256", LargeBinary, nullable=False),  # of the words as silos read them
    Column("deadline", _Time, nullable=False),  # until when silos decrypt
    Column("agreed", LargeBinary),  # SHA-256 of the decrypted sum that is settled on
)

decryptions = Table(
    "decryptions",
    metadata,
    Column("assignment_id", ForeignKey(assignments.c.id), primary_key=True),
    Column("round_id", ForeignKey(encrypted_sums.c.round_id), nullable=False, index=True),
    Column("sha256", LargeBinary, nullable=False),
    Column("object_key", String, nullable=False),  # the decrypted sum, sealed with the round's key
)

# Of the last hour: whatever is older, the next sweep of a worker deletes.
demand_sketches = Table(
    "demand_sketches",
    metadata,
    Column("task_id", ForeignKey(tasks.c.id), primary_key=True),
    Column("process_id", String, primary_key=True),
    Column("span", BigInteger, primary_key=True, index=True),
    Column("smallest", LargeBinary, nullable=False),  # hashes of client ids, see domain/recent_participants.py
)

leases = Table(
    "leases",
    metadata,
    Column("name", String, primary_key=True),
    Column("holder", String, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("expires_at", _Time, nullable=False, server_default=func.now()),
)

privacy_ledgers = Table(
    "privacy_ledgers",
    metadata,
    Column("lineage", String, primary_key=True),
    Column("task_id", ForeignKey(tasks.c.id), nullable=False, unique=True),
    Column("budget", JSONB, nullable=False),
    Column("participation_limit", JSONB, nullable=False),
    Column("noise_key", LargeBinary),  # wrapped; where noise is correlated over rounds, until the task is over
    Column("incarnation", String),  # of the database that knows every release; null: of this one
)

# Of lineages whose noise is correlated over rounds: emptied when the task is over.
noise_vectors = Table(
    "noise_vectors",
    metadata,
    Column("lineage", ForeignKey(privacy_ledgers.c.lineage), primary_key=True),
    Column("round_number", Integer, primary_key=True),
    Column("object_key", String, nullable=False),  # sealed with the lineage's noise key
)

privacy_charges = Table(
    "privacy_charges",
    metadata,
    Column("charge_id", String, primary_key=True),
    Column("lineage", ForeignKey(privacy_ledgers.c.lineage), nullable=False, index=True),
    Column("round_number", Integer, nullable=False),
    Column("charge", JSONB, nullable=False),
    Column("charged_at", _Time, nullable=False),
)
