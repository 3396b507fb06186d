"""What the settings of both services share: how they are read, what they are called, and secrets among them."""

import base64
import binascii
import os
from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, StringConstraints, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError


def _secret(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        decoded = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    except (binascii.Error, ValueError) as error:
        raise ValueError("must be 32 random bytes as base64url") from error
    if len(decoded) != 32:
        raise ValueError("must be 32 random bytes as base64url")
    return decoded


SecretKey = Annotated[bytes, BeforeValidator(_secret)]
"""32 random bytes, written as base64url in the environment."""

OperatorSecret = Annotated[str, StringConstraints(pattern=r"^fo_[A-Za-z0-9_-]{43}$")]
"""The secret of an operator key."""

LogLevel = Annotated[str, StringConstraints(pattern="(?i)^(debug|info|warning|error|critical)$")]


class ServiceSettings(BaseSettings):
    """Read once, at start, and passed down. Some are secrets, so none is ever repeated: what is wrong is only named."""

    model_config = SettingsConfigDict(
        env_nested_delimiter="__",
        env_parse_none_str="null",
        frozen=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )
    variables_of_others: ClassVar[frozenset[str]] = frozenset()
    """Variables that have this service's prefix and are no settings."""

    log_level: LogLevel = "info"
    """debug, info, warning or error."""

    @classmethod
    def read(cls) -> Self:
        """The settings of this process, from its environment.

        Raises:
            SystemExit: with a line for each variable that is missing, wrong or, being misspelt, without effect.
        """
        wrong = [f"{name} is no setting" for name in cls._unknown()]
        try:
            settings = cls()
        except ValidationError as error:
            wrong += [f"{cls._variable(*problem['loc'])}: {problem['msg']}" for problem in error.errors()]
        except SettingsError as error:  # a list, say, that is no JSON
            wrong.append(str(error))
        if wrong:
            raise SystemExit("\n".join([*wrong, "docs/settings.md says what there is"]))
        return settings

    @classmethod
    def _variable(cls, *path: object) -> str:
        return cls.model_config.get("env_prefix", "") + "__".join(map(str, path)).upper()

    @classmethod
    def _unknown(cls) -> list[str]:
        prefix, known = cls._variable(), {cls._variable(name) for name in cls.model_fields} | cls.variables_of_others
        given = {name: name.upper().split("__")[0] for name in os.environ if name.upper().startswith(prefix)}
        return sorted(name for name, setting in given.items() if setting not in known)

    def __repr_args__(self) -> list[tuple[str | None, object]]:
        return []
