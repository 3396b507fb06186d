"""Where a command writes its results: that this can be done is found out before the work, not after it."""

import os
from pathlib import Path

import typer


def writable_file(path: Path) -> Path:
    """The file of an option; refused if it cannot be written."""
    if path.is_dir():
        raise typer.BadParameter(f"{path} is a folder: name a file")
    if not path.parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.parent}: make it first")
    _require_access(path if path.exists() else path.parent)
    return path


def writable_folder(path: Path) -> Path:
    """The folder of an option, which may have to be made; refused if it cannot be."""
    there = next(each for each in (path, *path.parents) if each.exists())
    if not there.is_dir():
        raise typer.BadParameter(f"{there} is a file: name a folder")
    _require_access(there)
    return path


def _require_access(path: Path) -> None:
    if not os.access(path, os.W_OK):
        raise typer.BadParameter(f"{path} cannot be written: choose another place")
