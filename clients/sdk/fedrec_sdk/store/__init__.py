"""What a participant keeps on the device, in one folder that survives restarts."""

from fedrec_sdk.store.local_store import LocalStore

__all__ = ["LocalStore"]
