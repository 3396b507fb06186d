"""Settings of the aggregator, from the environment: `FEDREC_AGGREGATOR_...`."""

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt
from pydantic_settings import SettingsConfigDict

from services.kit.rate_limits import Rate
from services.kit.settings import OperatorSecret, SecretKey, ServiceSettings


class RateSettings(BaseModel):
    """How often one credential may be used, in each process."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    participants: Rate = Rate(per_second=20, burst=200)
    """One device: a round takes it about four requests, a secure one about twenty."""
    operators: Rate = Rate(per_second=50, burst=500)
    """One operator key."""
    apps: Rate = Rate(per_second=200, burst=2000)
    """One enrolment key, which all new devices of an app share."""


class RetentionSettings(BaseModel):
    """How long rows are kept, those of a round after its end."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    unreported_days: PositiveFloat = 7.0
    """How long assignments that nobody reported to are kept after their round."""
    receipt_days: PositiveFloat = 90.0
    """The same of receipts, and of abandoned rounds; receipts that bound how often somebody takes part stay longer."""
    audit_days: PositiveFloat | None = None
    """Entries of the audit log are deleted after so long; null keeps them for ever."""
    client_days: PositiveFloat | None = 400.0
    """Clients that got no token for so long are forgotten; null keeps them for ever."""


class Settings(ServiceSettings):
    """Read once, at start, and passed down."""

    model_config = SettingsConfigDict(env_prefix="FEDREC_AGGREGATOR_")
    variables_of_others = frozenset({"FEDREC_AGGREGATOR_PORTS"})  # of the compose file

    database_url: str
    """postgresql+psycopg://user:password@host/database"""
    deployment_key: SecretKey
    """Wraps the key of every round and derives the token-signing key; 32 random bytes as base64url."""
    key_pepper: SecretKey
    """Operator and enrolment keys are stored as hashes keyed with it; 32 random bytes as base64url."""
    previous_deployment_keys: tuple[SecretKey, ...] = ()
    """Keys that still unwrap and verify, while the deployment key is being rotated (a JSON list)."""
    registry_url: str
    """Where this service reaches the model registry."""
    registry_key: str
    """Operator key of role `run` in the registry."""
    public_registry_url: str | None = None
    """Where devices reach the registry; by default the same address."""
    bootstrap_admin_key: OperatorSecret | None = None
    """An administrator's key, stored at start unless it is there; remove it once you made your own."""
    require_signed_requests: bool = False
    """Refuse participants' requests that their device has not signed."""
    object_home: str = "postgres"
    """`postgres`, `folder:/path` or `s3://bucket/prefix`."""
    body_timeout_seconds: PositiveFloat = 120.0
    """Longest time one report's body may take to arrive."""
    body_grace_seconds: PositiveFloat = 10.0
    """After so long a body has to keep one of the next two rates."""
    body_rate: PositiveFloat = 16 * 1024
    """Bytes a second at least; who is slower is given up."""
    contended_body_rate: PositiveFloat = 256 * 1024
    """Bytes a second at least while others wait for room; who is slower gives way to them."""
    intake_bytes: PositiveInt = 8 * 1024 * 1024
    """Memory for bodies of reports in one process, or two bodies, whichever is more."""
    rates: RateSettings = RateSettings()
    """`FEDREC_AGGREGATOR_RATES__PARTICIPANTS__PER_SECOND` and so on."""
    retention: RetentionSettings = RetentionSettings()
    """`FEDREC_AGGREGATOR_RETENTION__RECEIPT_DAYS`, `..._CLIENT_DAYS` and so on."""
    longest_wait_seconds: PositiveFloat = 60.0
    """Longest long poll of a check-in."""
    check_ins_held: PositiveInt = 5000
    """Check-ins that one process lets wait at a time, each about 50 KB; more are answered at once."""
    worker_poll_seconds: PositiveFloat = 0.5
    """How often a worker looks for work when nobody tells it."""
