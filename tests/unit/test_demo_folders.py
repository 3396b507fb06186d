"""Where the demonstration's devices keep their stores."""

from __future__ import annotations

from pathlib import Path

from fedrec.demo.folders import memory_folder


def test_devices_live_in_memory_where_there_is_room_and_on_disk_elsewhere(tmp_path: Path) -> None:
    assert memory_folder(tmp_path, room_bytes=1) == tmp_path
    assert memory_folder(tmp_path, room_bytes=1 << 62) is None
    assert memory_folder(tmp_path / "absent") is None
