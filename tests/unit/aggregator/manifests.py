"""Manifests for tests: small ones, of which a test changes what it is about."""

from __future__ import annotations

from typing import Any

from fedrec_protocol.manifest import TaskManifest


def manifest(**changes: Any) -> TaskManifest:
    """A task with one shared tensor `items` of shape [2, 2], the given top-level fields replaced."""
    return TaskManifest.model_validate(content(**changes))


def content(**changes: Any) -> dict[str, Any]:
    """The same as the JSON that an operator sends."""
    return {
        "name": "films",
        "model": "films",
        "recipe": {"name": "mf"},
        "shared": [{"name": "items", "shape": [2, 2]}],
        "private": ["user_*"],
        "rounds": {"aggregation_goal": 2},
        "stop": {"round_budget": 3},
    } | changes
