"""Who asks about which assignment."""

from typing import NamedTuple


class Asking(NamedTuple):
    """A participant, and the assignment that it asks about."""

    client_id: str
    assignment_id: str
    device_key: bytes | None
    """The key that its token is bound to."""
