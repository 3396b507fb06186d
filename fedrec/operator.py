"""The operator's client: create and watch tasks, publish and promote versions, over HTTP."""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Self

from fedrec.program import PROGRAM
from fedrec.service_client import OperatorError, open_client, path_segment, request, send
from fedrec_protocol.item_catalogue import MAXIMUM_CHANGES, CatalogueChange, CatalogueRequest, CatalogueView
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.operator_messages import (
    EnrolmentKeyCreated,
    EnrolmentKeyRequest,
    EnrolmentKeyView,
    PrivacyView,
    RoundView,
    TaskView,
    UnrecordedReleases,
)
from fedrec_protocol.problems import Slug
from fedrec_protocol.registry_messages import (
    AliasView,
    Gate,
    Lineage,
    ModelRequest,
    ModelView,
    PromotionRequest,
    RollbackRequest,
    VersionRequest,
    VersionView,
)
from fedrec_protocol.vouchers import Vouchers


class Operator:
    """Both services, as an operator sees them. Use it as a context manager, or close it."""

    def __init__(self, aggregator_url: str, registry_url: str, *, aggregator_key: str, registry_key: str) -> None:
        """The keys are operator keys `fo_...` of each service."""
        self._aggregator = open_client(aggregator_url, aggregator_key)
        self._registry = open_client(registry_url, registry_key)

    def create_task(self, manifest: TaskManifest) -> TaskView:
        """Start training by a manifest."""
        body = manifest.model_dump(mode="json")
        return send(TaskView, self._aggregator, "POST", "/v1/tasks", body)

    def task(self, task_id: str) -> TaskView:
        """One task."""
        return send(TaskView, self._aggregator, "GET", f"/v1/tasks/{task_id}")

    def tasks(self) -> list[TaskView]:
        """All tasks, newest first."""
        return send(list[TaskView], self._aggregator, "GET", "/v1/tasks")

    def steer(self, task_id: str, action: str) -> TaskView:
        """`pause`, `resume` or `cancel` a task."""
        return send(TaskView, self._aggregator, "POST", f"/v1/tasks/{task_id}/{action}")

    def delete_task(self, task_id: str) -> None:
        """Delete a completed task with its rounds and clients; the key has role `admin`."""
        request(self._aggregator, "DELETE", f"/v1/tasks/{task_id}")

    def privacy(self, task_id: str) -> PrivacyView:
        """What a private task has spent of its budget."""
        return send(PrivacyView, self._aggregator, "GET", f"/v1/tasks/{task_id}/privacy")

    def state_unrecorded(self, task_id: str, releases: int) -> TaskView:
        """Charge what a restored task's privacy ledger does not know; the key has role `admin`."""
        body = UnrecordedReleases(releases=releases).model_dump(mode="json")
        return send(TaskView, self._aggregator, "POST", f"/v1/tasks/{task_id}/unrecorded-releases", body)

    def create_enrolment_key(
        self, task_id: str, *, life_seconds: float | None = None, vouchers: Vouchers | None = None
    ) -> EnrolmentKeyCreated:
        """A key by which an app's devices enrol; without a life it is good until it is revoked."""
        asked = EnrolmentKeyRequest(expires_in_seconds=life_seconds, vouchers=vouchers)
        body = asked.model_dump(mode="json", exclude_none=True)
        return send(EnrolmentKeyCreated, self._aggregator, "POST", f"/v1/tasks/{task_id}/enrolment-keys", body)

    def enrolment_keys(self, task_id: str) -> list[EnrolmentKeyView]:
        """A task's enrolment keys, without their secrets."""
        return send(list[EnrolmentKeyView], self._aggregator, "GET", f"/v1/tasks/{task_id}/enrolment-keys")

    def replace_vouchers(self, task_id: str, key_id: str, vouchers: Vouchers) -> EnrolmentKeyView:
        """Let an enrolment key demand these vouchers from now on."""
        path = f"/v1/tasks/{task_id}/enrolment-keys/{path_segment(key_id)}/vouchers"
        return send(EnrolmentKeyView, self._aggregator, "PUT", path, vouchers.model_dump(mode="json"))

    def revoke_enrolment_key(self, task_id: str, key_id: str) -> None:
        """Enrol nobody else by this key."""
        request(self._aggregator, "DELETE", f"/v1/tasks/{task_id}/enrolment-keys/{path_segment(key_id)}")

    def revoke_client(self, task_id: str, client_id: str) -> None:
        """Give a device no more work and no more tokens."""
        request(self._aggregator, "DELETE", f"/v1/tasks/{task_id}/clients/{path_segment(client_id)}")

    def erase_client(self, client_id: str) -> None:
        """Delete what the aggregator keeps of a device; the key has role `admin`."""
        request(self._aggregator, "DELETE", f"/v1/clients/{path_segment(client_id)}")

    def current_round(self, task_id: str) -> RoundView:
        """The round under way, or else the newest."""
        return send(RoundView, self._aggregator, "GET", f"/v1/tasks/{task_id}/rounds/current")

    def rounds(self, task_id: str, *, limit: int = 500) -> list[RoundView]:
        """A task's rounds, newest first."""
        return send(list[RoundView], self._aggregator, "GET", f"/v1/tasks/{task_id}/rounds?limit={limit}")

    def models(self) -> list[ModelView]:
        """All models, by name."""
        models: list[ModelView] = []
        while page := send(list[ModelView], self._registry, "GET", _after(models)):
            models += page
        return models

    def versions(self, model: str, *, limit: int = 50, before: int | None = None) -> list[VersionView]:
        """A model's versions, newest first; `before` leaves out those from that number on."""
        path = f"/v1/models/{path_segment(model)}/versions?limit={limit}"
        return send(list[VersionView], self._registry, "GET", path if before is None else f"{path}&before={before}")

    def version(self, version_id: str) -> VersionView:
        """One model version."""
        return send(VersionView, self._registry, "GET", f"/v1/versions/{version_id}")

    def weights(self, version_id: str) -> bytes:
        """A version's weights, a safetensors file."""
        return request(self._registry, "GET", f"/v1/versions/{version_id}/weights").content

    def alias(self, model: str, alias: str) -> AliasView:
        """The version that an alias names."""
        return send(AliasView, self._registry, "GET", f"/v1/models/{path_segment(model)}/aliases/{path_segment(alias)}")

    def version_called(self, model: str, name: str) -> VersionView:
        """A version by its number in the model, by its id, or by an alias."""
        if name.isdecimal():
            for view in self.versions(model, before=int(name) + 1, limit=1):
                if view.number == int(name):
                    return view
            raise OperatorError(
                f"{model} has no version {name}: `{PROGRAM} model versions {model}` shows those there are"
            )
        return self.version(name) if name.startswith("ver_") else self.alias(model, name).version

    def publish(self, model: str, weights: bytes, lineage: Lineage, *, parent_id: str | None = None) -> VersionView:
        """Make weights, a safetensors file, the next version of a model, which is made where there is none."""
        try:
            send(ModelView, self._registry, "POST", "/v1/models", ModelRequest(name=model).model_dump(mode="json"))
        except OperatorError as refusal:
            if refusal.slug != Slug.MODEL_EXISTS:
                raise
        digest = hashlib.sha256(weights).hexdigest()
        request(self._registry, "PUT", f"/v1/weights/{digest}", file=weights)
        body = VersionRequest(digest=digest, parent_id=parent_id, lineage=lineage).model_dump(
            mode="json", exclude_unset=True
        )
        return send(VersionView, self._registry, "POST", f"/v1/models/{path_segment(model)}/versions", body)

    def promote(
        self, model: str, alias: str, version_id: str, *, gate: Gate | None = None, reason: str = ""
    ) -> AliasView:
        """Move an alias to a version, if the gate lets it."""
        body = PromotionRequest(version_id=version_id, gate=gate, reason=reason).model_dump(mode="json")
        return send(
            AliasView, self._registry, "PUT", f"/v1/models/{path_segment(model)}/aliases/{path_segment(alias)}", body
        )

    def roll_back(self, model: str, alias: str, *, reason: str = "") -> AliasView:
        """Move an alias back to the version before."""
        body = RollbackRequest(reason=reason).model_dump(mode="json")
        path = f"/v1/models/{path_segment(model)}/aliases/{path_segment(alias)}/rollback"
        return send(AliasView, self._registry, "POST", path, body)

    def make_catalogue(self, model: str, capacity: int) -> CatalogueView:
        """Give a model a catalogue of items; one of the same capacity stays as it is."""
        body = CatalogueRequest(capacity=capacity).model_dump(mode="json")
        return send(CatalogueView, self._registry, "PUT", f"/v1/models/{path_segment(model)}/catalogue", body)

    def change_catalogue(self, model: str, *, add: Sequence[str] = (), retire: Sequence[str] = ()) -> None:
        """Add items, then retire items, in as many requests as it takes."""
        path = f"/v1/models/{path_segment(model)}/catalogue/changes"
        for changes in (*_in_pieces("add", add), *_in_pieces("retire", retire)):
            send(
                CatalogueView,
                self._registry,
                "POST",
                path,
                CatalogueChange.model_validate(changes).model_dump(mode="json"),
            )

    def catalogue(self, model: str) -> CatalogueView:
        """A model's whole catalogue of items."""
        return send(CatalogueView, self._registry, "GET", f"/v1/models/{path_segment(model)}/catalogue")

    def close(self) -> None:
        """Close the connections."""
        self._aggregator.close()
        self._registry.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _after(models: list[ModelView]) -> str:
    """Where the next page of models is."""
    return "/v1/models" if not models else f"/v1/models?after={path_segment(models[-1].name)}"


def _in_pieces(what: str, items: Sequence[str]) -> Iterator[dict[str, Sequence[str]]]:
    """Items by as many as one request takes."""
    for start in range(0, len(items), MAXIMUM_CHANGES):
        yield {what: items[start : start + MAXIMUM_CHANGES]}
