"""The setting that says where objects live."""

from pathlib import Path
from urllib.parse import urlsplit

from services.kit.objects.external import ExternalHome
from services.kit.objects.folder import FolderStore
from services.kit.objects.home import ObjectHome
from services.kit.objects.postgres import PostgresHome
from services.kit.objects.s3 import S3Store
from services.kit.objects.tables import ObjectTables


def open_home(setting: str, tables: ObjectTables) -> ObjectHome:
    """The home that a setting names: `postgres`, `folder:/path` or `s3://bucket/prefix`.

    S3 takes its credentials and region from the standard `AWS_...` variables, and another endpoint than
    Amazon's from `FEDREC_S3_ENDPOINT`.

    Raises:
        ValueError: it names none of them.
    """
    if setting == "postgres":
        return PostgresHome(tables)
    if setting.startswith("folder:/"):
        return ExternalHome(tables, FolderStore(Path(setting.removeprefix("folder:"))))
    parts = urlsplit(setting)
    if parts.scheme == "s3" and parts.netloc:
        return ExternalHome(tables, S3Store(parts.netloc, parts.path.strip("/")))
    raise ValueError(f"object home {setting!r} is none of: postgres, folder:/path, s3://bucket/prefix")
