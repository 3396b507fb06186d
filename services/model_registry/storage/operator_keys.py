"""Operator keys in Postgres."""

from services.kit.operator_keys import OperatorKeys
from services.model_registry.storage import tables

keys = OperatorKeys(tables.operator_keys)
