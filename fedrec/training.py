"""A task from its manifest to its last version, over HTTP; started again, it goes on where it was."""

import time
from collections.abc import Iterator

from fedrec.operator import Operator
from fedrec.service_client import OperatorError
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.messages import RoundState, TaskState
from fedrec_protocol.operator_messages import RoundView, TaskView

_OVER = {RoundState.PUBLISHED, RoundState.ABANDONED}
_LOOK_SECONDS = 1.0


def find_or_create(operator: Operator, manifest: TaskManifest) -> tuple[TaskView, bool]:
    """The task of the manifest's name, and whether it is new. Two who ask at once get the same one.

    Raises:
        OperatorError: a task of this name was agreed differently, or the service refuses the manifest.
    """
    found = _named(operator, manifest.name)
    if found is None:
        try:
            return operator.create_task(manifest), True
        except OperatorError as refusal:
            found = _named(operator, manifest.name)
            if found is None:
                raise refusal
    if found.manifest_digest != manifest.digest:
        raise OperatorError(f"task {manifest.name!r} has another manifest: give this one another name")
    return found, False


def follow(operator: Operator, task_id: str) -> Iterator[RoundView]:
    """Each round of a task once it is over, oldest first, until the task rests: it ended, failed, or is paused."""
    shown = 0
    while True:
        is_resting = operator.task(task_id).state is not TaskState.ACTIVE  # asked first: rounds may end in between
        for round_ in reversed(operator.rounds(task_id)):
            if round_.number > shown and round_.state in _OVER:
                shown = round_.number
                yield round_
        if is_resting:
            return
        time.sleep(_LOOK_SECONDS)


def _named(operator: Operator, name: str) -> TaskView | None:
    return next((task for task in operator.tasks() if task.manifest.name == name), None)
