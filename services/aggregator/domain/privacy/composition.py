"""What is guaranteed of several trainings together: their statements, added up."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fedrec_protocol.registry_messages import Statement
from services.aggregator.domain.privacy.statement import Neighbouring


class NotAStatement(ValueError):
    """What should be added up does not say its epsilon and delta."""


def composed(statements: Sequence[Statement]) -> Statement:
    """The privacy statement of what is made of several releases, each with a statement of its own.

    By basic composition (Dwork et al. 2006, https://doi.org/10.1007/11681878_14) epsilons and deltas add up, for
    a user who took part in everything; what is computed from releases alone costs nothing more.

    Args:
        statements: Of each release, as versions carry them; one that is composed itself stands for its parts.

    Raises:
        NotAStatement: one says no epsilon and delta, or all deltas come to 1.
    """
    parts = [part for statement in statements for part in _parts(statement)]
    epsilon = math.fsum(_number(part, "epsilon") for part in parts)
    delta = math.fsum(_number(part, "delta") for part in parts)
    if not 0 < delta < 1:
        raise NotAStatement(f"the deltas add up to {delta:g}")
    rounded_up = math.ceil(epsilon * 100) / 100
    words = (
        f"This version is made of {len(parts)} trainings on people's data. For a user who took part in all of them, "
        f"what was published of them is (epsilon = {rounded_up:.2f}, delta = {delta:g}) differentially private: what "
        "each promises adds up."
    )
    of_each = (f"Training {place}: {part.get('in_words', 'no words.')}" for place, part in enumerate(parts, start=1))
    return {
        "unit": "user",
        "neighbouring": _of_all({str(part.get("neighbouring", Neighbouring.ADD_OR_REMOVE)) for part in parts}),
        "epsilon": epsilon,
        "delta": delta,
        "parts": list(parts),
        "in_words": " ".join([words, *of_each]),
    }


def _of_all(neighbouring: set[str]) -> str:
    """What all parts promise: whoever is hidden when added, removed or replaced is hidden when reporting zeros."""
    return neighbouring.pop() if len(neighbouring) == 1 else Neighbouring.ZERO_OUT


def _parts(statement: Mapping[str, Any]) -> list[dict[str, Any]]:
    parts = statement.get("parts")
    return parts if isinstance(parts, list) and parts else [dict(statement)]


def _number(statement: Mapping[str, Any], name: str) -> float:
    value = statement.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise NotAStatement(f"a privacy statement has no {name}")
    return float(value)
