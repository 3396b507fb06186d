"""The stores of one process of the aggregator, API or worker."""

from services.aggregator import keys as derived
from services.aggregator.pipeline.context import Context
from services.aggregator.registry_client import RegistryClient
from services.aggregator.settings import Settings
from services.aggregator.storage.tables import objects
from services.kit.clock import Clock
from services.kit.db import Database
from services.kit.objects import open_home


def make_context(settings: Settings, clock: Clock) -> Context:
    """The stores that the settings name."""
    public_url = settings.public_registry_url or settings.registry_url
    return Context(
        db=Database(settings.database_url),
        home=open_home(settings.object_home, objects),
        registry=RegistryClient(settings.registry_url, settings.registry_key, public_url),
        clock=clock,
        deployment_keys=derived.deployment_keys(settings),
    )
