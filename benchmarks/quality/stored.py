"""Rows that were made before: a page is made over many sittings, and on more than one machine."""

from pathlib import Path
from typing import Self

from pydantic import BaseModel

from benchmarks.quality.rows import Row


class Stored(BaseModel):
    """What docs/results.json holds."""

    rows: list[Row] = []
    probes: dict[str, float] = {}
    """HR@10 of the probe for leaks, by data set."""

    @classmethod
    def read(cls, path: Path) -> Self:
        """What is there; nothing where there is no file."""
        return cls.model_validate_json(path.read_text(encoding="utf-8")) if path.exists() else cls()

    def write(self, path: Path) -> None:
        """One row a line, so that a change can be read."""
        lines = ",\n".join(row.model_dump_json(exclude_none=True) for row in self.rows)
        probes = ", ".join(f'"{name}": {value}' for name, value in sorted(self.probes.items()))
        path.write_text(f'{{"rows": [\n{lines}\n],\n"probes": {{{probes}}}}}\n', encoding="utf-8")

    def put(self, row: Row) -> None:
        """Add a row, in the place of the same one of before."""
        for place, known in enumerate(self.rows):
            if known.key == row.key:
                self.rows[place] = row
                return
        self.rows.append(row)
