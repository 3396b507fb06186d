"""Versions that were trained before: one task's model is a row, and a member of others."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel

from benchmarks.quality.data import QualityData
from benchmarks.quality.training import Model, Stage, federated, recipe_of
from fedrec_protocol import codec


class Versions:
    """Trained models in a folder, by the data, the settings and the seed.

    Code is no part of the key: empty the folder after a change that trains otherwise.

    Args:
        folder: Where they are; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def trained(self, data: QualityData, stages: Sequence[Stage], seed: int) -> Model:
        """The model of a chain of tasks that leaves nothing private on devices: trained, unless it is there."""
        if self._folder is None:
            return federated(data, stages, seed)
        settings = "\n".join([data.name, f"{len(data.train)}", f"{seed}", *map(repr, stages)])
        path = self._folder / hashlib.sha256(settings.encode()).hexdigest()
        if not path.with_suffix(".json").exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            _write(federated(data, stages, seed), path)
        cost = _Cost.model_validate_json(path.with_suffix(".json").read_text(encoding="utf-8"))
        shared = codec.decode(path.with_suffix(".safetensors").read_bytes())
        recipe = recipe_of(stages[-1], data.number_of_items)
        return Model(recipe, shared, lambda _: {}, cost.rounds, cost.bytes_up, cost.bytes_down)


class _Cost(BaseModel):
    """What a kept model cost when it was trained."""

    rounds: int
    bytes_up: float
    bytes_down: float


def _write(model: Model, path: Path) -> None:
    """The cost last: it says that the tensors are whole."""
    path.with_suffix(".safetensors").write_bytes(codec.encode(model.shared))
    cost = _Cost(rounds=model.rounds, bytes_up=model.bytes_up, bytes_down=model.bytes_down)
    path.with_suffix(".json").write_text(cost.model_dump_json(), encoding="utf-8")
