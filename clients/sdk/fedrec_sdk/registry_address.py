"""Where the model registry is."""

from fedrec_sdk.agreed_task import AgreedTask
from fedrec_sdk.connections import base_address
from fedrec_sdk.errors import Unavailable
from fedrec_sdk.store import LocalStore

_NAME = "registry_url"


class RegistryAddress:
    """The address that the app gave, or else that the last assignment or the task named."""

    def __init__(self, given: str | None, store: LocalStore, task: AgreedTask) -> None:
        """Raises ValueError: what was given is no address."""
        self._given = None if given is None else base_address(given)
        self._values = store.values
        self._task = task

    def learn(self, weights_url: str) -> None:
        """Remember the registry that an assignment fetches its base from."""
        named = weights_url.rpartition("/v1/")[0].encode()
        if named != self._values.get(_NAME):
            self._values.put(_NAME, named)

    def get(self) -> str:
        """The address, without a slash at its end.

        Raises:
            Unavailable: nobody has named it yet.
        """
        if self._given is not None:
            return self._given
        learnt = self._values.get(_NAME)
        named = self._task.current().registry_url if learnt is None else learnt.decode()
        if named is None:
            raise Unavailable("no answer has named the registry yet: pass registry_url")
        return base_address(named)
