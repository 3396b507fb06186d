"""A real deployment with a task and its participants, ready to be measured."""

import base64
import contextlib
import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import numpy as np
from sqlalchemy import insert

from fedrec.local.process import ServiceProcess
from fedrec.local.stack import LocalStack, local_stack
from fedrec.operator import Operator
from fedrec_protocol import codec
from fedrec_protocol.manifest import (
    EXAMPLES_TENSOR,
    RecipeChoice,
    ReportFormat,
    RoundPolicy,
    StopCriteria,
    TaskManifest,
    Weighting,
)
from fedrec_protocol.privacy import CentralPrivacy
from fedrec_protocol.tensors import Initialiser, InitialiserKind, TensorSpec
from services.aggregator.storage.tables import clients
from services.kit import access_tokens
from services.kit.db import Database
from services.kit.ids import new_id

_CONNECTIONS = 8
_WAIT = {"Prefer": "wait=30"}


@dataclass(frozen=True)
class Deployment:
    """The running services, and their operator."""

    stack: LocalStack
    operator: Operator

    @property
    def api_pid(self) -> int:
        """The process that takes reports in."""
        return self.stack.processes["aggregator-0"].pid

    @property
    def postgres_pid(self) -> int:
        """Postgres's first process; the others are its children."""
        if self.stack.postgres is None:
            raise RuntimeError("the deployment runs on a database that it did not start")
        return self.stack.postgres.pid

    def enrol(self, manifest: TaskManifest, count: int) -> list[str]:
        """Create a task and enrol so many participants; returns their access tokens."""
        task = self.operator.create_task(manifest)
        key = {"Authorization": f"Bearer {self.operator.create_enrolment_key(task.task_id).secret}"}

        def enrol(client: httpx.Client) -> str:
            public_key = base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")
            answer = client.post("/v1/enrolments", json={"public_key": public_key}, headers=key)
            return str(answer.raise_for_status().json()["token"]["access_token"])

        with self._client() as client, ThreadPoolExecutor(_CONNECTIONS) as pool:
            return list(pool.map(enrol, [client] * count))

    def enrol_directly(self, manifest: TaskManifest, count: int) -> list[str]:
        """The same as `enrol` for many: they are written to the database, and their tokens signed here."""
        task = self.operator.create_task(manifest)
        now = datetime.now(UTC)
        rows: list[dict[str, Any]] = [
            {"id": new_id("cli"), "task_id": task.task_id, "public_key": os.urandom(32), "enrolled_at": now}
            for _ in range(count)
        ]
        db = Database(self.stack.database_url)
        db.run("enrol_directly", lambda tx: tx.execute(insert(clients), rows))
        db.dispose()
        key = access_tokens.signing_key(base64.urlsafe_b64decode(self.stack.secrets.deployment_key + "="))
        holders = (
            access_tokens.Participant(row["id"], task.task_id, manifest.model, row["public_key"]) for row in rows
        )
        return [access_tokens.issue(holder, key, now) for holder in holders]

    def check_in(self, tokens: list[str], processes: Sequence[ServiceProcess] = ()) -> list[str]:
        """Wait for the task's round; returns an assignment id each.

        Args:
            tokens: One of each participant.
            processes: Whom the participants ask in turn; the first aggregator unless it is said.
        """
        urls = itertools.cycle([str(process.url) for process in processes] or [self.stack.aggregator_url])

        def check_in(token: str, url: str) -> str:
            headers = {"Authorization": f"Bearer {token}", **_WAIT}
            answer = client.post(f"{url}/v1/check-ins", json={}, headers=headers).raise_for_status().json()
            return str(answer["assignment"]["assignment_id"])

        with self._client() as client, ThreadPoolExecutor(_CONNECTIONS) as pool:
            return list(pool.map(check_in, tokens, urls))

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=self.stack.aggregator_url, timeout=60, trust_env=False)


@contextlib.contextmanager
def deployment() -> Iterator[Deployment]:
    """Postgres (with fsync), registry, one aggregator and one worker, as `fedrec serve` starts them."""
    with (
        local_stack() as stack,
        Operator(
            stack.aggregator_url,
            stack.registry_url,
            aggregator_key=stack.secrets.aggregator_admin_key,
            registry_key=stack.secrets.registry_admin_key,
        ) as operator,
    ):
        yield Deployment(stack, operator)


def manifest(
    name: str, *, size_bytes: int, reports: int, rounds: int = 1, privacy: CentralPrivacy | None = None
) -> TaskManifest:
    """A task whose model and reports have `size_bytes` bytes of float32, and whose rounds end with `reports`."""
    start = Initialiser(kind=InitialiserKind.NORMAL, scale=0.01)
    return TaskManifest(
        name=name,
        model=name,
        recipe=RecipeChoice(name="benchmark"),
        shared=(TensorSpec(name="weights", shape=(size_bytes // 4,), init=start),),
        rounds=RoundPolicy(aggregation_goal=reports, minimum_reports=reports),
        report=ReportFormat(weighting=Weighting.UNIFORM if privacy else Weighting.EXAMPLES),
        privacy=privacy,
        stop=StopCriteria(round_budget=rounds),
    )


def report(size_bytes: int) -> bytes:
    """A valid report of such a task: noise that compresses as badly as real updates do."""
    delta = np.random.default_rng(0).normal(scale=1e-3, size=size_bytes // 4).astype(np.float32)
    return codec.encode({"weights": delta, EXAMPLES_TENSOR: np.ones(1, np.int64)})
