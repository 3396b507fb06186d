"""Participants on a Ray cluster, or on all cores of this machine: an optional extra, `fedrec[ray]`.

Each task trains a hundred people or more and sends back one integer vector; smaller tasks would mostly pay for
being scheduled. Ray passes Python objects between its own processes with pickle: use a cluster that is yours.
"""

import importlib
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from fedrec_protocol.tensors import Tensors
from simulation.engines.local import LocalEngine
from simulation.population import Population
from simulation.work import CohortSum, PrivateTensors, RoundWork

MINIMUM_PEOPLE_PER_TASK = 100


class RayEngine:
    """Splits a cohort into tasks and adds up their sums, in the order in which they are done.

    Integer sums are the same in any order, so the result has the bits of the local engine's, given
    the same numerical libraries and number of threads on all machines.

    Args:
        population: The people; sent to the cluster once.
        people_per_task: At least 100.
        address: Of a running cluster; None starts Ray on this machine, and `close` ends it.
        processes: Processes on this machine, where Ray is started; None takes one per core.

    Raises:
        ValueError: too few people per task.
        ImportError: Ray is not installed.
    """

    def __init__(
        self,
        population: Population,
        *,
        people_per_task: int = MINIMUM_PEOPLE_PER_TASK,
        address: str | None = None,
        processes: int | None = None,
    ) -> None:
        if people_per_task < MINIMUM_PEOPLE_PER_TASK:
            raise ValueError(f"a task has at least {MINIMUM_PEOPLE_PER_TASK} people")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        ray: Any = importlib.import_module("ray")  # optional, and slow to import
        self._ray = ray
        self._people_per_task = people_per_task
        self._owns_ray = not ray.is_initialized()
        if self._owns_ray:
            _start(ray, address, processes)
        self._in_flight = 2 * max(int(ray.cluster_resources().get("CPU", 1)), 1)
        self._population = ray.put(population)
        self._task = ray.remote(_contribute)

    def contribute(self, work: RoundWork, people: Sequence[int], privates: PrivateTensors) -> CohortSum:
        """The sum over all tasks."""
        total = CohortSum.empty(work)
        shared_work = self._ray.put(work)
        waiting = self._tasks(shared_work, people, privates)
        running = list(islice(waiting, self._in_flight))
        while running:
            (done, *_), running = self._ray.wait(running, num_returns=1)
            total.merge(_own(self._ray.get(done)))
            running += islice(waiting, 1)
        total.reported.sort(key={person: place for place, person in enumerate(people)}.__getitem__)
        return total

    def close(self) -> None:
        """End Ray, if it was started here."""
        if self._owns_ray:
            self._ray.shutdown()

    def _tasks(self, work: Any, people: Sequence[int], privates: PrivateTensors) -> Iterator[Any]:
        for start in range(0, len(people), self._people_per_task):
            chunk = people[start : start + self._people_per_task]
            kept = {person: privates[person] for person in chunk if person in privates}
            yield self._task.remote(self._population, work, chunk, kept)


def _start(ray: Any, address: str | None, processes: int | None) -> None:
    if address is not None:
        ray.init(address=address, log_to_driver=False)
        return
    ray.init(num_cpus=processes, include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")


def _contribute(population: Population, work: RoundWork, people: Sequence[int], privates: PrivateTensors) -> CohortSum:
    return LocalEngine(population).contribute(work, people, privates)


def _own(part: CohortSum) -> CohortSum:
    """Private tensors out of Ray's shared memory, which they would fill up: they are kept for many rounds."""
    part.private = {person: _copied(tensors) for person, tensors in part.private.items()}
    return part


def _copied(tensors: Tensors) -> Tensors:
    return {name: values.copy() for name, values in tensors.items()}
