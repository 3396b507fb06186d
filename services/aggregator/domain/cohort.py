"""Whose turn it is when more ask than a round has places."""

import hashlib
from collections.abc import Iterable


def draw_cohort(client_ids: Iterable[str], *, seed: int, round_number: int, places: int) -> list[str]:
    """Draw among clients who ask at the same time: the `places` smallest lots win, in their order.

    A lot is a hash of the task's seed, the round and the client, so that whoever knows these can repeat the draw.
    """

    def lot(client_id: str) -> bytes:
        return hashlib.sha256(f"{seed}:{round_number}:{client_id}".encode()).digest()

    return sorted(set(client_ids), key=lot)[:places]
