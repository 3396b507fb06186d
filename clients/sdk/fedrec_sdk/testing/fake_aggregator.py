"""An aggregator and a registry in one object, over real HTTP, without a database."""

import secrets
from collections.abc import Iterable, Sequence
from typing import Self

from fedrec_protocol.initialise import initial_parameters
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.tensors import Tensors
from fedrec_sdk.testing.fake_clients import FakeClients
from fedrec_sdk.testing.fake_http import FakeServer, Request
from fedrec_sdk.testing.fake_registry import FakeRegistry, FakeVersion
from fedrec_sdk.testing.fake_reports import federated_average
from fedrec_sdk.testing.fake_round import FakeRound
from fedrec_sdk.testing.fake_rounds import Aggregate
from fedrec_sdk.testing.fake_task import FakeTask
from fedrec_sdk.testing.faults import Fault, FaultKind, Faults
from fedrec_sdk.testing.routes import Routes


class FakeAggregator:
    """Runs one task's real rounds in this process: enrols, assigns, checks reports, averages, publishes.

    With `secure_aggregation` in the manifest the rounds are secure ones, with the protocol's own masks: a round then
    needs as many participants as its floor, and the aggregate is given one report, which is the mean of all.

    For tests of an app: no Postgres, no persistence, one task, active from the start. It answers every request that a
    participant can make of the real services, over loopback HTTP, so the app's own `Participant` is tested as it is.
    What only operators see is left out: no privacy noise is added, nobody is drawn, and rates have no limit (see
    `refuse`). Use it as a context manager.

    Args:
        manifest: The task.
        weights: The first version's tensors; None fills them as the manifest's `init` says.
        aggregate: Makes the next parameters from the base and the reports; a weighted mean of deltas by
            default. Statistics need one of your own.
        vouchers: Whether the enrolment key demands vouchers. Their `sub` is the person; `exp` and `cnf.jkt` are
            checked, and who signed them is not.

    Raises:
        ValueError: the task's reports are encrypted, which takes real services.
    """

    def __init__(
        self,
        manifest: TaskManifest,
        weights: Tensors | None = None,
        *,
        aggregate: Aggregate = federated_average,
        vouchers: bool = False,
    ) -> None:
        if manifest.homomorphic_encryption is not None:
            raise ValueError("encrypted reports need the real services: test with `fedrec serve`")
        self.enrolment_key = f"fe_{secrets.token_urlsafe(32)}"
        self.registry = FakeRegistry(manifest)
        self.registry.publish(
            initial_parameters(manifest.shared, manifest.seed) if weights is None else weights, round_number=None
        )
        self.task = FakeTask(manifest, self.registry, aggregate)
        self.clients = FakeClients(
            self.task.view().task_id, self.enrolment_key, must_sign=manifest.signed_requests, vouchers=vouchers
        )
        self._faults = Faults()
        routes = Routes(self.clients, self.task, self.registry)
        self._server = FakeServer(routes.respond, self._faults)
        self.registry.url = self.url

    @property
    def url(self) -> str:
        """The address of both services."""
        return self._server.url

    @property
    def versions(self) -> Sequence[FakeVersion]:
        """Published versions, oldest first."""
        return self.registry.versions

    @property
    def rounds(self) -> Sequence[FakeRound]:
        """Rounds with their counted reports, oldest first; the last one may be open."""
        return self.task.rounds.every

    @property
    def requests(self) -> Sequence[Request]:
        """Requests that were served, in order; those that a fault refused or dropped are not among them."""
        return self._server.requests

    def promote(self, number: int, alias: str = "production") -> None:
        """Let an alias name a version."""
        self.registry.aliases[alias] = self.versions[number]

    def change_catalogue(self, *, capacity: int, add: Iterable[str] = (), retire: Iterable[str] = ()) -> None:
        """Give the model a catalogue of items, or make its next version.

        Raises:
            ValueError: more items than rows, or an item to retire that was never added.
        """
        self.registry.catalogue.change(capacity, add, retire)

    @property
    def device_registry_key(self) -> bytes:
        """The Ed25519 key that an app would pin in secure tasks, 32 bytes."""
        return self.task.rounds.secure_keys.registry.public_key().public_bytes_raw()

    def close_round(self) -> None:
        """Close the open round now, or in a secure task its open phase, as its deadline would."""
        self.task.close_round()

    def pause(self) -> None:
        """Open no round after the one that is open."""
        self.task.pause()

    def resume(self) -> None:
        """Open rounds again."""
        self.task.resume()

    def revoke(self, client_id: str) -> None:
        """Give a client no more work and no more tokens, as an operator would."""
        self.clients.revoked.add(client_id)

    def expire_assignments(self) -> None:
        """Let the time of all open assignments be over."""
        self.task.expire_assignments()

    def expire_tokens(self) -> None:
        """Let all access tokens be past their end."""
        self.clients.expire_tokens()

    def refuse(self, count: int = 1, *, status: int = 503, retry_after: float | None = None, path: str = "") -> None:
        """Refuse the next requests whose path contains `path`."""
        self._faults.add(Fault(FaultKind.REFUSE, path, count, status=status, retry_after=retry_after))

    def drop_requests(self, count: int = 1, *, path: str = "") -> None:
        """Break the connection before anything is done."""
        self._faults.add(Fault(FaultKind.DROP_REQUEST, path, count))

    def drop_responses(self, count: int = 1, *, path: str = "") -> None:
        """Do what is asked, and break the connection before the answer."""
        self._faults.add(Fault(FaultKind.DROP_RESPONSE, path, count))

    def cut_downloads(self, count: int = 1, *, after_bytes: int) -> None:
        """Break the connection in the middle of the weights."""
        self._faults.add(Fault(FaultKind.CUT_BODY, "/weights", count, after_bytes=after_bytes))

    def corrupt_downloads(self, count: int = 1) -> None:
        """Send the weights with one wrong byte."""
        self._faults.add(Fault(FaultKind.CORRUPT_BODY, "/weights", count))

    def heal(self) -> None:
        """No more faults, whatever was asked for before."""
        self._faults.clear()

    def start(self) -> None:
        """Start to serve."""
        self._server.start()

    def stop(self) -> None:
        """Answer who waits, and stop to serve."""
        self.task.stop()
        self._server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
