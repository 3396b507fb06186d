"""What administrators do at either service: read its audit log, manage its operator keys."""

from typing import Self

from fedrec.service_client import open_client, path_segment, request, send
from fedrec_protocol.messages import Role
from fedrec_protocol.operator_messages import AuditEntry, OperatorKeyCreated, OperatorKeyRequest, OperatorKeyView

_KEYS = "/v1/operator-keys"


class Administrator:
    """One service, as an administrator sees it. Use it as a context manager, or close it."""

    def __init__(self, url: str, key: str) -> None:
        """Of the aggregator or of the model registry; the key is an operator key of role `admin` of that service."""
        self._client = open_client(url, key)

    def audit(self, *, limit: int = 100) -> list[AuditEntry]:
        """What operators did, newest first; `limit` entries at most."""
        return send(list[AuditEntry], self._client, "GET", f"/v1/audit?limit={limit}")

    def operator_keys(self) -> list[OperatorKeyView]:
        """All operator keys, newest first, without their secrets."""
        return send(list[OperatorKeyView], self._client, "GET", _KEYS)

    def create_operator_key(self, name: str, role: Role, *, life_seconds: float | None = None) -> OperatorKeyCreated:
        """A key for a person or a program, with its secret; without a life it is good until it is revoked."""
        body = OperatorKeyRequest(name=name, role=role, expires_in_seconds=life_seconds)
        return send(OperatorKeyCreated, self._client, "POST", _KEYS, body.model_dump(mode="json"))

    def revoke_operator_key(self, key_id: str) -> None:
        """Refuse a key from now on."""
        request(self._client, "DELETE", f"{_KEYS}/{path_segment(key_id)}")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
