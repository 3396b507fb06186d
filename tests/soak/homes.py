"""The three homes of objects, each of which can fail for a while."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import httpx

from tests.integration.kit.s3 import moto_server
from tests.soak.disks import Disk, small_disk
from tests.soak.proxy import Outage, Proxy

FOLDER_MEGABYTES = 64
POSTGRES_MEGABYTES = 320
BUCKET = "soak"


class HomeKind(StrEnum):
    """Where objects live."""

    POSTGRES = "postgres"
    FOLDER = "folder"
    S3 = "s3"


class Trouble(StrEnum):
    """What can be wrong with a home."""

    FULL = "full"
    AWAY = "away"
    ANSWERS_LOST = "answers lost"
    STALLED = "stalled"


@dataclass
class Home:
    """A home as services are told of it, and how it is broken and mended.

    Attributes:
        environment: settings of the services.
        troubles: what can be wrong with it here.
        break_: makes it so.
        mend: ends whatever is wrong.
    """

    environment: dict[str, str] = field(default_factory=dict)
    troubles: tuple[Trouble, ...] = ()
    break_: Callable[[Trouble], None] = lambda _: None
    mend: Callable[[], None] = lambda: None


@contextlib.contextmanager
def open_home(kind: HomeKind, directory: Path) -> Iterator[Home]:
    """A home for a deployment whose state lives in a directory."""
    match kind:
        case HomeKind.POSTGRES:
            with small_disk(directory / "postgres", POSTGRES_MEGABYTES) as disk:
                yield Home() if disk is None else Home({}, (Trouble.FULL,), lambda _: disk.fill(), disk.free)
        case HomeKind.FOLDER:
            with small_disk(directory / "disk", FOLDER_MEGABYTES) as disk:
                yield _folder(directory / "disk", disk)
        case HomeKind.S3:
            with _s3() as home:
                yield home


def _settings(pattern: str) -> dict[str, str]:
    # Each service has a place of its own: what one does not know is an orphan to it, and swept.
    return {f"FEDREC_{name.upper()}_OBJECT_HOME": pattern.format(name) for name in ("aggregator", "registry")}


def _folder(path: Path, disk: Disk | None) -> Home:
    objects, hidden = path / "objects", path / "hidden"

    def break_(trouble: Trouble) -> None:
        if trouble is Trouble.FULL and disk is not None:
            disk.fill()
        else:
            objects.rename(hidden)
            objects.touch()  # in its place: no service makes the folder anew

    def mend() -> None:
        if disk is not None:
            disk.free()
        if hidden.exists():
            objects.unlink()
            hidden.rename(objects)

    objects.mkdir()
    troubles = (Trouble.AWAY,) if disk is None else (Trouble.AWAY, Trouble.FULL)
    return Home(_settings(f"folder:{objects}/{{}}"), troubles, break_, mend)


@contextlib.contextmanager
def _s3() -> Iterator[Home]:
    with moto_server() as port, Proxy(port) as proxy:
        httpx.put(f"http://127.0.0.1:{port}/{BUCKET}", timeout=60, trust_env=False).raise_for_status()
        outages = {
            Trouble.AWAY: Outage.REFUSE,
            Trouble.ANSWERS_LOST: Outage.SWALLOW,
            Trouble.STALLED: Outage.STALL,
        }

        def set_outage(outage: Outage) -> None:
            proxy.outage = outage

        environment = _settings(f"s3://{BUCKET}/{{}}") | {"FEDREC_S3_ENDPOINT": proxy.url, "AWS_REGION": "us-east-1"}
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            environment[name] = os.environ.get(name, "testing")
        yield Home(
            environment,
            tuple(outages),
            lambda trouble: set_outage(outages[trouble]),
            lambda: set_outage(Outage.NONE),
        )
