"""Signals reach a process and all its descendants, also those in other sessions."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from splitbrain.harness.systems.processes import process_tree
from splitbrain.harness.systems.processes.member_process import spawn
from splitbrain.harness.systems.processes.process_tree import LocalTree

PARENT = """
import subprocess, sys
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
print(child.pid, flush=True)
child.wait()
"""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def runs(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def is_stopped(process: psutil.Process) -> bool:
    return process.status() == psutil.STATUS_STOPPED


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "not listed by the kernel"])
def test_a_child_in_another_session_is_paused_resumed_and_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listed: bool
) -> None:
    if not listed:
        monkeypatch.setattr(process_tree, "_has_no_children", lambda pid: False)
    log = tmp_path / "log"

    async def main() -> None:
        tree = LocalTree(spawn((sys.executable, "-c", PARENT), os.environ, log))
        try:
            await until(lambda: log.read_text().endswith("\n"))
            child = psutil.Process(int(log.read_text()))
            await tree.pause()
            assert tree.is_stopped()
            await until(lambda: is_stopped(child))
            await tree.resume()
            await until(lambda: not is_stopped(child) and not tree.is_stopped())
        finally:
            await tree.kill()
        assert not tree.alive()
        await until(lambda: not runs(child))
        await tree.kill()  # the pid may belong to another process by now

    asyncio.run(main())


def test_a_process_without_children_has_no_descendants(tmp_path: Path) -> None:
    async def main() -> None:
        tree = LocalTree(spawn(("sleep", "600"), os.environ, tmp_path / "log"))
        try:
            assert process_tree._has_no_children(tree.process.pid)
        finally:
            await tree.kill()
        assert not process_tree._has_no_children(tree.process.pid), "nothing is known of it"

    asyncio.run(main())
