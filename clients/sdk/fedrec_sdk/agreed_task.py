"""The task as participants agreed to it: fetched once, and again when its manifest changes."""

from pydantic import ValidationError

from fedrec_protocol.messages import ParticipantTask
from fedrec_sdk.credentials import Credentials
from fedrec_sdk.errors import Unavailable
from fedrec_sdk.session import Session
from fedrec_sdk.store import LocalStore


class AgreedTask:
    """The task that this participant is enrolled in."""

    def __init__(self, store: LocalStore, credentials: Credentials, session: Session) -> None:
        self._values = store.values
        self._credentials = credentials
        self._session = session

    def current(self) -> ParticipantTask:
        """The task as it was last seen; asks the server only the first time."""
        task_id = self._credentials.identity().task_id
        task = self._kept()
        return task if task is not None and task.task_id == task_id else self._fetch()

    def with_manifest(self, manifest_digest: str) -> ParticipantTask:
        """The task with the manifest of this digest, as an assignment names it.

        Raises:
            Unavailable: the server's manifest is another one by now.
        """
        task = self.current()
        if task.manifest_digest != manifest_digest:
            task = self._fetch()
        if task.manifest_digest != manifest_digest:
            raise Unavailable("the manifest changed while the assignment was on its way; check in again")
        return task

    def _kept(self) -> ParticipantTask | None:
        """The task in the store; None where another release of the SDK put it there, and this one cannot read it."""
        content = self._values.get("task")
        try:
            return None if content is None else ParticipantTask.model_validate_json(content)
        except ValidationError:
            return None

    def _fetch(self) -> ParticipantTask:
        task = self._session.task()
        self._values.put("task", task.model_dump_json().encode())
        return task
