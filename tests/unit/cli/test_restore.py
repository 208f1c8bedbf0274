"""`splitbrain node restore` leaves nothing behind when it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

import splitbrain.node.__main__ as member_command
from splitbrain.harness.cli.main import run_main
from splitbrain.node.config import Config
from splitbrain.node.real.disk import RealDisk
from splitbrain.node.storage.backup_file import BackupCorrupt


@pytest.mark.parametrize("before", [None, (), ("notes",)])
def test_a_failed_restoration_removes_what_it_created_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: tuple[str, ...] | None
) -> None:
    backup, data = tmp_path / "backup", tmp_path / "data"
    backup.write_bytes(b"no backup")
    if before is not None:
        data.mkdir()
        for name in before:
            (data / name).write_text("kept")
    assert run_main(["node", "restore", str(backup), "--data-dir", str(data)]) == 254
    assert "not a backup" in capsys.readouterr().err
    assert data.exists() == (before is not None)
    if before is not None:
        assert [place.name for place in data.iterdir()] == list(before)


def test_a_restoration_that_fails_half_way_removes_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail_half_way(disk: RealDisk, config: Config, backup: bytes) -> int:
        disk.make_directory("wal")
        raise BackupCorrupt("the backup ends early")

    monkeypatch.setattr(member_command, "restore", fail_half_way)
    backup, data = tmp_path / "backup", tmp_path / "data"
    backup.write_bytes(b"")
    data.mkdir()
    assert run_main(["node", "restore", str(backup), "--data-dir", str(data)]) == 254
    assert list(data.iterdir()) == []


def test_a_directory_that_a_member_uses_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backup = tmp_path / "backup"
    backup.write_bytes(b"no backup")
    data = tmp_path / "data"
    disk = RealDisk(data, backend_quota_bytes=1 << 20)
    disk.lock()
    try:
        assert run_main(["node", "restore", str(backup), "--data-dir", str(data)]) == 254
        assert "in use by another process" in capsys.readouterr().err
        assert (data / "lock").exists()
    finally:
        disk.close()
        disk.end_work()
