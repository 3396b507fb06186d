"""A file by which a shell reaches a local deployment as its operator."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedrec.local.stack import LocalStack


def write_operator_env(stack: LocalStack, directory: Path) -> Path:
    """Write `operator.env`, for this user only: `. operator.env` makes `fedrec` commands use this deployment.

    It is written anew at each start, since ports may have changed.
    """
    values = {
        "FEDREC_URL": stack.aggregator_url,
        "FEDREC_OPERATOR_KEY": stack.secrets.aggregator_admin_key,
        "FEDREC_REGISTRY_URL": stack.registry_url,
        "FEDREC_REGISTRY_KEY": stack.secrets.registry_admin_key,
    }
    path = directory / "operator.env"
    text = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    return path
