"""The participant: one person on one device, taking part in one task."""

import os
import threading
from collections.abc import Callable, Iterable
from datetime import timedelta
from time import time as now
from typing import TYPE_CHECKING, Any, Self, SupportsIndex

from fedrec_protocol.item_catalogue import ItemCatalogue
from fedrec_protocol.messages import RoundKind
from fedrec_protocol.tensors import Tensors
from fedrec_recipes.recipe import History, Recipe
from fedrec_sdk.agreed_task import AgreedTask
from fedrec_sdk.backoff import Backoff
from fedrec_sdk.catalogues import Catalogues
from fedrec_sdk.connections import Connections, base_address
from fedrec_sdk.contribution import Contributor
from fedrec_sdk.credentials import Credentials, VoucherFor
from fedrec_sdk.evaluation import Evaluation
from fedrec_sdk.models import PRODUCTION, Models
from fedrec_sdk.outcomes import Outcome
from fedrec_sdk.pacing import run_until
from fedrec_sdk.recommendation import Recommendation
from fedrec_sdk.recommender import Recommender
from fedrec_sdk.registry_address import RegistryAddress
from fedrec_sdk.secure_contribution import Demands
from fedrec_sdk.session import Session
from fedrec_sdk.store import LocalStore
from fedrec_sdk.store.interactions import with_times
from fedrec_sdk.store.versions import ModelVersion
from fedrec_sdk.trainer import Trainer

if TYPE_CHECKING:
    from fedrec_sdk.transport import Transport

LONG_POLL = timedelta(seconds=20)
"""How long `run` lets the server hold a check-in, and so the longest time that it takes to stop."""


class Participant:
    """Takes part in a federated task: records, trains, reports, recommends, all on this device.

    Making one does no I/O; it enrols when it first needs the server. `record`, `recommend` and
    `evaluate` may be called while another thread is in `contribute` or `run`; contributions of one
    participant come one after the other.

    Args:
        aggregator_url: Address of the aggregator.
        enrolment_key: The task's enrolment key; needed until the device has enrolled.
        store: The folder in which everything is kept, or an open store. One process at a time.
        recipe: A recipe or a trainer of the app's own; None takes the one that the manifest names.
        seed: Seed of local training, from 0 to 2**64 - 1; None draws one and keeps it in the store.
        holdout: How many of the last interactions are not trained on, but measured.
        kinds: Kinds of round to take part in.
        registry_url: Address of the model registry; None takes the one that the aggregator names.
        require_secure_aggregation: Whether to refuse tasks whose reports are not masked.
        minimum_cohort: Refuse secure or encrypted sums of fewer participants; None takes the manifest's floor.
        device_registry_key: The device registry's Ed25519 public key, 32 bytes, which signs who may be in a
            secure round; None takes the one that the aggregator names.
        key_lifetime: Replace the device's key by a new one when it is older than this; None keeps it until
            `rotate_key`. A store that comes back from an older backup then enrols anew, as another client.
        voucher: For tasks that demand vouchers: called with the thumbprint of the device's key whenever it enrols,
            returns the JWT of the app's backend for the person who uses the app; what it raises is raised.
        silo_key: File of the silos' secret key (`fedrec_sdk.silo.key`) for encrypted reports; never the operator's.
        transport: Connections to use, when many participants share them; closed by whoever made it.

    Raises:
        ValueError: an address that is not one.
    """

    def __init__(
        self,
        aggregator_url: str,
        enrolment_key: str,
        store: LocalStore | str | os.PathLike[str],
        recipe: Recipe[Any] | Trainer | None = None,
        *,
        seed: int | None = None,
        holdout: int = 1,
        kinds: tuple[RoundKind, ...] = (RoundKind.TRAINING, RoundKind.EVALUATION),
        registry_url: str | None = None,
        require_secure_aggregation: bool = False,
        minimum_cohort: int | None = None,
        device_registry_key: bytes | None = None,
        key_lifetime: timedelta | None = None,
        voucher: VoucherFor | None = None,
        silo_key: str | os.PathLike[str] | None = None,
        transport: "Transport | None" = None,
    ) -> None:
        aggregator_url = base_address(aggregator_url)
        self.store = store if isinstance(store, LocalStore) else LocalStore(store)
        self._connections = Connections(transport)
        self._contributing = threading.Lock()
        connect = self._connections.transport
        self._credentials = Credentials(
            aggregator_url, enrolment_key, self.store, connect, key_lifetime=key_lifetime, voucher=voucher
        )
        self._session = Session(aggregator_url, self._credentials, connect)
        self._task = AgreedTask(self.store, self._credentials, self._session)
        registry = RegistryAddress(registry_url, self.store, self._task)
        self._models = Models(self.store, self._session, registry)
        self._catalogues = Catalogues(self.store, self._session, registry)
        self._recommender = Recommender(self.store, self._task, self._models, self._catalogues, recipe, holdout)
        self._contributor = Contributor(
            store=self.store,
            credentials=self._credentials,
            session=self._session,
            task=self._task,
            models=self._models,
            trainer=self._recommender.trainer,
            given_seed=seed,
            kinds=kinds,
            demands=Demands(require_secure_aggregation, minimum_cohort, device_registry_key),
            silo_key=silo_key,
        )

    def enrol(self) -> str:
        """Enrol now instead of when it is first needed; returns the client id.

        Raises:
            Rejected: the enrolment key is wrong, revoked or expired; or it wants a voucher, or another one.
            Unavailable: no answer.
        """
        return self._credentials.identity().client_id

    def rotate_key(self) -> None:
        """Replace the device's key by a new one, e.g. because a copy of the store may be in other hands.

        The client stays the same, and so does what it has done; tokens of the old key end. A secure round that is under
        way goes on without this device, whose neighbours know it by the old key.

        Raises:
            Unavailable: no answer; either key may be the device's now, and the next request finds out.
            Rejected: this client was revoked.
        """
        with self._contributing:
            self.store.secure_rounds.discard()
            self._credentials.rotate_key()

    def record(self, item: int, time: float | None = None) -> None:
        """Remember one interaction, on this device only.

        Args:
            item: Index of the item.
            time: When, in seconds since the epoch; None means now, after all that was recorded.

        Raises:
            TypeError: an item that is no integer.
            ValueError: a negative item, or a time that is not finite.
        """
        self.store.interactions.add_one(item, time, now=now())

    def record_many(self, history: History | Iterable[SupportsIndex]) -> None:
        """Remember many interactions at once, e.g. those from before the app was updated; all or none.

        Args:
            history: With times, or only the indices of the items, oldest first.

        Raises:
            TypeError: an item that is no integer.
            ValueError: a negative item, or a time that is not finite.
        """
        self.store.interactions.add(with_times(history))

    def contribute(self, wait: timedelta = timedelta(0)) -> Outcome:
        """Do one round, or finish the one that a crash or a lost connection interrupted.

        Args:
            wait: How long the server may hold the check-in until there is work.

        Raises:
            Unavailable: no answer, or the store is in use; nothing is lost, call again later.
            Rejected: by the server, or by this device for what the server would refuse.
            BadSiloKey, EncryptionUnavailable: reports are encrypted, and the key or TenSEAL cannot be used.
        """
        with self._contributing:
            return self._contributor.contribute(wait.total_seconds())

    def run(
        self,
        *,
        stop: threading.Event | None = None,
        until: Callable[[Outcome], bool] = lambda _: False,
        long_poll: timedelta = LONG_POLL,
    ) -> Outcome | None:
        """Contribute until the task ends, `stop` is set, or `until` says so of an outcome.

        The server sets the pace; while it is unavailable, waits double up to a minute.

        Returns:
            The last outcome; None when it was stopped.

        Raises:
            Rejected: by the server, or by this device.
        """
        backoff = Backoff(base=1.0, cap=60.0)
        return run_until(
            lambda: self.contribute(long_poll), until=until, stop=stop or threading.Event(), backoff=backoff
        )

    def refresh_model(self, alias: str = PRODUCTION) -> ModelVersion:
        """Download the version that an alias names now, unless it is here already.

        Raises:
            Unavailable: no answer; or the registry's address is not known yet (see `registry_url`).
            Rejected: `unknown-alias`, ...
        """
        return self._models.refresh(self._task.current().manifest.model, alias)

    def refresh_catalogue(self) -> ItemCatalogue:
        """Fetch what changed in the model's catalogue of items; from then on only its items are recommended.

        Raises:
            Unavailable: no answer; or the registry's address is not known yet (see `registry_url`).
            Rejected: `unknown-catalogue` where the operator made none.
        """
        return self._catalogues.refresh(self._task.current().manifest.model)

    def catalogue(self) -> ItemCatalogue | None:
        """The catalogue as it was last refreshed: which item each index is, and which are retired."""
        return self._recommender.catalogue()

    def recommend(
        self,
        k: int,
        *,
        exclude_seen: bool | None = None,
        exclude: Iterable[int] = (),
        allow: Iterable[int] | None = None,
        variety: float = 0.0,
        version: str | None = None,
    ) -> list[Recommendation]:
        """The best items for this person, computed on this device; needs no network.

        Args:
            k: How many.
            exclude_seen: Whether to leave out the items in the history; None: unless the recipe keeps them.
            exclude: Further items to leave out.
            allow: Recommend only these; None means all. Where there is a catalogue (see `refresh_catalogue`),
                rows without an item and retired items are left out in any case.
            variety: From 0, the best items, to 1, items as unlike each other as can be; about 0.3 avoids a list of
                the same thing again and again.
            version: An alias or a version id; None: `production` as last refreshed, else the newest on this device.

        Raises:
            Unavailable: that version is not on this device.
            TypeError: the trainer does not score items; or, with variety, it does not tell them apart.
        """
        return self._recommender.recommend(
            k, exclude_seen=exclude_seen, exclude=exclude, allow=allow, variety=variety, version=version
        )

    def because_of(self, item: int, *, count: int = 3, version: str | None = None) -> list[tuple[int, float]]:
        """The items of this person's history that speak most for an item: "because you watched ...".

        Returns:
            At most `count` pairs of an item and how much lower the score would be without it, largest first.

        Raises:
            Unavailable: that version is not on this device.
            TypeError: the trainer does not score items.
        """
        return self._recommender.because_of(item, count=count, version=version)

    def evaluate(self, k: int = 10, *, version: str | None = None) -> Evaluation:
        """Measure a version on the held-out interactions: `hr@k`, `ndcg@k` and `mrr@k`, by full ranking.

        Raises:
            Unavailable: that version is not on this device.
            UnknownMetric: the trainer does not rank items.
        """
        return self._recommender.evaluate(k, version=version)

    def parameters(self, version: str | None = None) -> Tensors:
        """A version's shared tensors together with this person's private ones, e.g. to load into a module.

        Raises:
            Unavailable: that version is not on this device.
        """
        loaded = self._recommender.loaded(version)
        return {**loaded.private, **loaded.shared}

    def forget(self) -> None:
        """Erase the interactions, the private tensors and the pending report; the enrolment stays."""
        with self._contributing:
            self.store.outbox.clear()
            self.store.secure_rounds.discard()
            self.store.interactions.clear()

    def close(self) -> None:
        """Let go of the store and the connections; using the participant again opens them again."""
        self.store.close()
        self._connections.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
