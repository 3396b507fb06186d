"""Parameters that routes share, described once."""

from typing import Annotated

from fastapi import Path

from fedrec_protocol.registry_messages import Id

# The pattern of an id keeps out what a database refuses to compare, such as NUL. Look-ups of many requests share
# one query, so one such id would fail all of them.
TaskId = Annotated[Id, Path(description="Opaque id of the task", examples=["tsk_5gxw2tq4fpj7ls7zqhzwlrcdmu"])]
RoundId = Annotated[Id, Path(description="Opaque id of the round", examples=["rnd_5gxw2tq4fpj7ls7zqhzwlrcdmu"])]
AssignmentId = Annotated[
    Id, Path(description="Opaque id of the assignment", examples=["asg_5gxw2tq4fpj7ls7zqhzwlrcdmu"])
]
ClientId = Annotated[Id, Path(description="Opaque id of the client", examples=["cli_5gxw2tq4fpj7ls7zqhzwlrcdmu"])]
KeyId = Annotated[Id, Path(description="Opaque id of the key", examples=["ekey_5gxw2tq4fpj7ls7zqhzwlrcdmu"])]
