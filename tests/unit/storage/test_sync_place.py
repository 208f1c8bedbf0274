"""Syncs of the log run in the event loop while the disk is quick, and otherwise in a thread."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest

from splitbrain.node.real import disk
from splitbrain.node.real.disk import RealDisk
from splitbrain.node.world import DiskError


class Kernel:
    """Syncs take `duration_s` by the clock of the test. `places` are the threads that sync."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now_s = 0.0
        self.duration_s = 0.0
        self.broken = False
        self.places: list[str] = []
        patch.setattr(os, "fdatasync", self.fdatasync)
        patch.setattr(time, "perf_counter", lambda: self.now_s)

    def fdatasync(self, _descriptor: int) -> None:
        if self.broken:
            raise OSError(5, "Input/output error")
        main = threading.current_thread() is threading.main_thread()
        self.places.append("loop" if main else "thread")
        self.now_s += self.duration_s


def test_syncs_move_to_a_thread_after_a_slow_one_and_back_after_quick_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel(monkeypatch)

    async def scenario() -> None:
        file = RealDisk(tmp_path, backend_quota_bytes=0).create("log")

        async def sync(times: int, seconds: float) -> set[str]:
            kernel.duration_s = seconds
            for _ in range(times):
                file.write(0, b"x")
                await file.sync()
            return set(kernel.places[-times:])

        assert await sync(disk.QUICK_SYNCS, 0.0) == {"thread"}
        assert await sync(100, disk.SLOW_S / 2) == {"loop"}
        assert await sync(1, disk.SLOW_S) == {"loop"}
        assert await sync(100, disk.SLOW_S) == {"thread"}
        assert await sync(disk.QUICK_SYNCS, 0.0) == {"thread"}
        assert await sync(1, 0.0) == {"loop"}
        file.close()

    asyncio.run(scenario())


def test_a_failed_sync_leaves_its_bytes_unsynced_in_either_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel(monkeypatch)

    async def scenario() -> None:
        file = RealDisk(tmp_path, backend_quota_bytes=0).create("log")
        for quick_syncs in (0, disk.QUICK_SYNCS):
            for _ in range(quick_syncs):
                await file.sync()
            kernel.broken = True
            file.write(0, b"12345")
            with pytest.raises(DiskError):
                await file.sync()
            assert file.unsynced_bytes >= 5
            kernel.broken = False
            await file.sync()
            assert file.unsynced_bytes == 0
        file.close()

    asyncio.run(scenario())


def test_data_that_was_sent_before_a_sync_leaves_before_the_loop_is_blocked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel(monkeypatch)

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        file = RealDisk(tmp_path, backend_quota_bytes=0).create("log")
        for _ in range(disk.QUICK_SYNCS):
            await file.sync()
        kernel.places.clear()
        loop.call_soon(lambda: kernel.places.append("sent"))
        await file.sync()
        assert kernel.places == ["sent", "loop"]
        file.close()

    asyncio.run(scenario())
