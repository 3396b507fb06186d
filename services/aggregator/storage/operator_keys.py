"""Operator keys in Postgres."""

from services.aggregator.storage import tables
from services.kit.operator_keys import OperatorKeys

keys = OperatorKeys(tables.operator_keys)
