"""A deployment of real processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fedrec.local.stack import LocalStack, local_stack
from fedrec.operator import Operator


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """Postgres, registry, aggregator and worker, as `./run serve` starts them."""
    with local_stack(fsync=False) as stack:
        yield stack


@pytest.fixture
def operator(stack: LocalStack) -> Iterator[Operator]:
    with Operator(
        stack.aggregator_url,
        stack.registry_url,
        aggregator_key=stack.secrets.aggregator_admin_key,
        registry_key=stack.secrets.registry_admin_key,
    ) as operator:
        yield operator
