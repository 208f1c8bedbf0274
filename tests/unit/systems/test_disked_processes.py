"""Members on disks that lose power: what was synced is kept, and what was not is lost."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from splitbrain import DiskedProcesses, LocalMember, SystemFailed
from splitbrain.harness.schedule.options import Options
from splitbrain.harness.systems.disks.mounted_disk import MountedDisk
from splitbrain.nemesis.capabilities import Corruptible, Disked, Powered
from splitbrain.nemesis.linux.mounts import fuse_missing

WRITER = """
import os, sys, time
from pathlib import Path
data = Path(sys.argv[1])
if not (data / "synced").exists():
    with (data / "synced").open("w") as file:
        file.write("kept" * 1000)
        file.flush()
        os.fsync(file.fileno())
    for number in range(20):
        (data / f"written{number}").write_text("lost" * 1000)
(data.parent / "ready").touch()
time.sleep(600)
"""
pytestmark = pytest.mark.skipif(bool(fuse_missing()), reason=fuse_missing() or "-")


class Writer(DiskedProcesses):
    name = "writer"

    def command(self, member: LocalMember) -> Sequence[str]:
        return (sys.executable, "-c", WRITER, str(member.data))

    def healthy(self, member: str) -> bool:
        return (self.places[member].folder / "ready").exists()


def made(kind: type[DiskedProcesses], folder: Path) -> DiskedProcesses:
    return kind(members=("n1",), folder=folder, options=Options())


def test_a_power_loss_keeps_only_what_was_synced(tmp_path: Path) -> None:
    system = made(Writer, tmp_path)
    data = tmp_path / "n1" / "data"

    def whole() -> list[str]:
        return [
            path.name for path in data.iterdir()
            if path.read_text() in ("kept" * 1000, "lost" * 1000)
        ]

    async def main() -> None:
        await system.start()
        try:
            assert len(await asyncio.to_thread(whole)) == 21
            await system.lose_power(["n1"])
            assert not system.alive("n1")
            await system.restart("n1")
            assert system.alive("n1")
        finally:
            await system.stop()

    asyncio.run(main())
    assert "synced" in whole()  # the disk is unmounted, and its files are in the folder
    assert len(whole()) < 21


def test_no_member_starts_while_its_machine_has_no_power(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = made(Writer, tmp_path)
    power_on = MountedDisk.power_on

    async def power_on_late(disk: MountedDisk) -> None:
        await asyncio.sleep(1)
        await power_on(disk)

    monkeypatch.setattr(MountedDisk, "power_on", power_on_late)

    async def restart() -> None:
        await asyncio.sleep(0.3)
        await system.restart("n1")

    async def main() -> None:
        await system.start()
        try:
            await asyncio.gather(system.lose_power(["n1"]), restart())
            await asyncio.sleep(0.5)
            assert system.ended_by_themselves() == ()
            assert system.alive("n1")
        finally:
            await system.stop()

    asyncio.run(main())


def test_a_class_with_disks_supports_the_faults_of_disks() -> None:
    for protocol in (Powered, Disked, Corruptible):
        assert issubclass(Writer, protocol)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run members as another user")
def test_members_with_disks_that_run_as_another_user_are_refused(tmp_path: Path) -> None:
    class Other(Writer):
        user = "nobody"

    with pytest.raises(SystemFailed, match="cannot run as the user nobody"):
        made(Other, tmp_path)
