"""A whole deployment on this machine: Postgres, registry, aggregator and worker as real processes.

The parts are started in the order of their dependencies and stopped in the reverse one, whatever ends the block:
its end, an exception, Ctrl-C or SIGTERM. Nothing is restarted here; see `supervisor`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from fedrec.local.guard import temporary_directory
from fedrec.local.interrupts import orderly_termination
from fedrec.local.migrate import upgrade
from fedrec.local.ports import ANY, ReservedPort
from fedrec.local.postgres import LocalPostgres
from fedrec.local.process import ServiceProcess
from fedrec.local.secrets import Secrets

Progress = Callable[[str], None]


class LocalStack:
    """The running parts of a local deployment.

    Attributes:
        processes: the services by name: `registry`, `aggregator-0`, `worker-0` and so on.
        database_url: where all of them keep what lasts.
        secrets: what they were started with; holds the administrators' keys.
        postgres: the server, or None when a database was given.
    """

    def __init__(
        self,
        *,
        directory: Path,
        database_url: str,
        secrets: Secrets,
        ports: tuple[int, int] = (ANY, ANY),
        postgres: LocalPostgres | None = None,
        environment: Mapping[str, str] | None = None,
        runner: Sequence[str] = (),
    ) -> None:
        self.processes: dict[str, ServiceProcess] = {}
        self.secrets = secrets
        self.postgres = postgres
        self._directory = directory
        self.database_url = database_url
        self._extra = dict(environment or {})
        self._runner = tuple(runner)
        self._ports = {"aggregator-0": ReservedPort(ports[0]), "registry": ReservedPort(ports[1])}

    @property
    def aggregator_url(self) -> str:
        """Where the first aggregator answers."""
        return self._ports["aggregator-0"].url

    @property
    def aggregator_urls(self) -> list[str]:
        """Where every running aggregator answers."""
        return [process.url for process in self.processes.values() if process.url and process.name != "registry"]

    @property
    def registry_url(self) -> str:
        """Where the model registry answers."""
        return self._ports["registry"].url

    def start(self, *, aggregators: int = 1, workers: int = 1) -> None:
        """Start the registry, the replicas of the API and the workers side by side, and wait for all of them."""
        self._start("registry", self._registry_environment(), "services.model_registry.app:create_app")
        self.add(aggregators=aggregators, workers=workers)
        self.processes["registry"].wait_until_ready()

    def add(self, *, aggregators: int = 0, workers: int = 0) -> list[ServiceProcess]:
        """Start so many more replicas of the aggregator's API and so many more workers, and wait for them."""
        environment = self._aggregator_environment()
        started = []
        for _ in range(aggregators):
            name = self._next_name("aggregator")
            if name not in self._ports:
                self._ports[name] = ReservedPort()
            started.append(self._start(name, environment, "services.aggregator.app:create_app"))
        for _ in range(workers):
            started.append(self._start(self._next_name("worker"), environment))
        for process in started:
            process.wait_until_ready()
        return started

    def remove(self, name: str) -> None:
        """Stop one process for good."""
        self.processes.pop(name).stop()
        if name in self._ports and name != "aggregator-0":
            self._ports.pop(name).release()

    def require_running(self) -> None:
        """Raise ProcessFailed when a part has ended by itself."""
        for process in self.processes.values():
            process.require_running()

    def stop(self) -> None:
        """Stop the aggregator and its workers side by side, then the registry, which they publish to."""
        registry = self.processes.pop("registry", None)
        for process in self.processes.values():
            process.ask_to_stop()
        for process in self.processes.values():
            process.stop()
        if registry is not None:
            registry.stop()
        self.processes.clear()
        for port in self._ports.values():
            port.release()

    def _start(self, name: str, environment: Mapping[str, str], app: str | None = None) -> ServiceProcess:
        module, url = ["services.aggregator.worker"], None
        if app is not None:
            port = self._ports[name]
            module, url = ["services.kit.serving", app, "--port", str(port.number)], port.url
        log = self._directory / "logs" / f"{name}.log"
        named = {**environment, "PGAPPNAME": name}  # what `pg_stat_activity` calls its connections
        process = self.processes[name] = ServiceProcess(name, [*self._runner, *module], named, log=log, url=url)
        process.start()
        return process

    def _next_name(self, kind: str) -> str:
        return next(f"{kind}-{n}" for n in range(len(self.processes) + 1) if f"{kind}-{n}" not in self.processes)

    def _registry_environment(self) -> dict[str, str]:
        return self._extra | {
            "FEDREC_REGISTRY_DATABASE_URL": self.database_url,
            "FEDREC_REGISTRY_KEY_PEPPER": self.secrets.registry_pepper,
            "FEDREC_REGISTRY_JWKS_URL": f"{self.aggregator_url}/.well-known/jwks.json",
            "FEDREC_REGISTRY_PUBLIC_AGGREGATOR_URL": self.aggregator_url,
            "FEDREC_REGISTRY_BOOTSTRAP_ADMIN_KEY": self.secrets.registry_admin_key,
            "FEDREC_REGISTRY_BOOTSTRAP_RUN_KEY": self.secrets.registry_run_key,
        }

    def _aggregator_environment(self) -> dict[str, str]:
        return self._extra | {
            "FEDREC_AGGREGATOR_DATABASE_URL": self.database_url,
            "FEDREC_AGGREGATOR_DEPLOYMENT_KEY": self.secrets.deployment_key,
            "FEDREC_AGGREGATOR_KEY_PEPPER": self.secrets.aggregator_pepper,
            "FEDREC_AGGREGATOR_BOOTSTRAP_ADMIN_KEY": self.secrets.aggregator_admin_key,
            "FEDREC_AGGREGATOR_REGISTRY_URL": self.registry_url,
            "FEDREC_AGGREGATOR_REGISTRY_KEY": self.secrets.registry_run_key,
            "FEDREC_AGGREGATOR_PUBLIC_REGISTRY_URL": self.registry_url,
        }


@contextlib.contextmanager
def local_stack(
    directory: Path | None = None,
    *,
    database_url: str | None = None,
    ports: tuple[int, int] = (ANY, ANY),
    aggregators: int = 1,
    workers: int = 1,
    environment: Mapping[str, str] | None = None,
    runner: Sequence[str] = (),
    fsync: bool = True,
    revision: str = "head",
    progress: Progress = lambda _: None,
) -> Iterator[LocalStack]:
    """Start a deployment, hand it over when it is ready, and stop all of it at the end of the block.

    Args:
        directory: keeps data, secrets and logs between runs. None: temporary, removed at the end.
        database_url: an existing database; None starts a Postgres of our own.
        ports: of the first aggregator and of the registry.
        aggregators: replicas of the API.
        workers: worker processes.
        environment: more settings for the services, such as `FEDREC_AGGREGATOR_LOG_LEVEL`.
        runner: a module, and its arguments, that is given each service's module to run.
        fsync: whether our own Postgres survives a power cut.
        revision: what the database is brought to first.
        progress: is told each step, in words.

    Raises:
        LocalFailure: a part did not start, or a port is taken; the message says which and why.
    """
    with orderly_termination() as begin_cleaning_up, contextlib.ExitStack() as undo:
        try:
            home = directory or undo.enter_context(temporary_directory("fedrec-"))
            postgres = None
            if database_url is None:
                progress("starting Postgres")
                postgres = undo.enter_context(LocalPostgres(directory and directory / "postgres", fsync=fsync))
                database_url = postgres.url
            progress("migrating the database")
            upgrade(database_url, revision)
            stack = LocalStack(
                directory=home,
                database_url=database_url,
                secrets=Secrets.kept_in(home),
                ports=ports,
                postgres=postgres,
                environment=environment,
                runner=runner,
            )
            undo.callback(stack.stop)
            progress("starting the model registry, the aggregator and its worker")
            stack.start(aggregators=aggregators, workers=workers)
            yield stack
        finally:
            begin_cleaning_up()
