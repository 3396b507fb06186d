"""Settings of the model registry, from the environment: `FEDREC_REGISTRY_...`."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt
from pydantic_settings import SettingsConfigDict

from services.kit.rate_limits import Rate
from services.kit.settings import OperatorSecret, SecretKey, ServiceSettings


class RateSettings(BaseModel):
    """How often one credential may be used, in each process."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    participants: Rate = Rate(per_second=20, burst=200)
    """One device: a round takes it about one request."""
    operators: Rate = Rate(per_second=50, burst=500)
    """One operator key; the aggregator's is one of them."""


class Settings(ServiceSettings):
    """Read once, at start, and passed down."""

    model_config = SettingsConfigDict(env_prefix="FEDREC_REGISTRY_")
    variables_of_others = frozenset({"FEDREC_REGISTRY_URL", "FEDREC_REGISTRY_KEY"})  # of commands

    database_url: str
    """postgresql+psycopg://user:password@host/database"""
    key_pepper: SecretKey
    """Keys the hashes of operator keys; 32 random bytes as base64url."""
    jwks_url: str
    """Where the aggregator publishes the keys that verify access tokens: `.../.well-known/jwks.json`."""
    public_aggregator_url: str | None = None
    """Where operators reach the aggregator, to whose dashboard this one's links."""
    bootstrap_admin_key: OperatorSecret | None = None
    """An administrator's key, stored at start unless it is there; remove it once you made your own."""
    bootstrap_run_key: OperatorSecret | None = None
    """The key that the aggregator publishes with, of role `run`, stored at start unless it is there."""
    object_home: str = "postgres"
    """`postgres`, `folder:/path` or `s3://bucket/prefix`."""
    maximum_weights_bytes: PositiveInt = 2 * 1024**3
    """Largest weights file that can be uploaded."""
    body_timeout_seconds: PositiveFloat = 600.0
    """Longest time an upload may take to arrive."""
    stall_timeout_seconds: PositiveFloat = 30.0
    """Longest time a download may stand still."""
    maximum_downloads: PositiveInt = 500
    """Downloads that one process serves at a time; more are asked to come back."""
    cache_bytes: PositiveInt = 64 * 1024**2
    """Memory of one process for pieces of weights that are downloaded now."""
    rates: RateSettings = RateSettings()
    """`FEDREC_REGISTRY_RATES__PARTICIPANTS__PER_SECOND` and so on."""
    spool_directory: Path | None = None
    """Where uploads are kept until they are checked; by default the system's temporary directory."""
    unpublished_days: PositiveFloat = 7.0
    """Weights of which no version was made for so long are deleted."""
    unused_days: PositiveFloat | None = 90.0
    """Weights that nobody downloaded for so long are deleted, unless a task or an alias needs them; null keeps them."""
    audit_days: PositiveFloat | None = None
    """Entries of the audit log are deleted after so long; null keeps them for ever."""
    sweep_seconds: PositiveFloat = 3600.0
    """How often such things are deleted."""
