"""The output folder of a simulation: tables, the model, the manifest, the plots."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from fedrec_protocol import codec
from fedrec_protocol.manifest import TaskManifest
from fedrec_protocol.tensors import Tensors
from simulation.final_test import TestRow
from simulation.plots import write_plots
from simulation.records import RoundRecord, write_parquet


class MissingExtra(ImportError):
    """A package that comes with an optional extra is not installed."""


def require_writers() -> None:
    """Find out before a long run, and not after it, that its results cannot be written.

    Raises:
        MissingExtra: naming what to install.
    """
    missing = [name for name in ("matplotlib", "pyarrow") if importlib.util.find_spec(name) is None]
    if missing:
        raise MissingExtra(f"{' and '.join(missing)} not installed: pip install 'fedrec[simulation]'")


def write_results(
    folder: Path, manifest: TaskManifest, parameters: Tensors, records: Sequence[RoundRecord], rows: Sequence[TestRow]
) -> list[Path]:
    """Write everything; returns the files.

    `rounds.parquet` has a row per round, `test.parquet` a row per model and metric, `model.safetensors`
    the last version (its SHA-256 is the last round's `digest`), `manifest.json` the task.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_parquet(records, folder / "rounds.parquet")
    _write_test(rows, folder / "test.parquet")
    (folder / "manifest.json").write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(codec.encode(parameters))
    names = ["rounds.parquet", "test.parquet", "manifest.json", "model.safetensors"]
    return [folder / name for name in names] + write_plots(records, folder)


def _write_test(rows: Sequence[TestRow], path: Path) -> None:
    import pyarrow as pa  # noqa: PLC0415 - optional, and slow to import
    from pyarrow import parquet  # noqa: PLC0415 - as above

    table = [
        {"model": row.model, "metric": name, "mean": value.mean, "low": value.low, "high": value.high}
        for row in rows
        for name, value in row.metrics.items()
    ]
    columns = ("model", "metric", "mean", "low", "high")
    parquet.write_table(pa.table({column: [entry[column] for entry in table] for column in columns}), path)
