"""A member's process is started, stopped, continued and killed, together with its children."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import pytest

from splitbrain.harness.errors import SystemFailed
from splitbrain.harness.systems.processes.member_process import MemberProcess, log_tail, spawn
from splitbrain.harness.systems.processes.ports import PORT_MIN, Ports
from splitbrain.harness.systems.proxies.socket_owner import End, _owner_by_psutil, owner

SLEEPER = (sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)")
STUBBORN = (
    sys.executable, "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "print('here', flush=True); time.sleep(60)",
)


def spawned(command: Sequence[str], tmp_path: Path) -> MemberProcess:
    return spawn(command, os.environ, tmp_path / "n1" / "log")


def wait_for_log(log: Path) -> None:
    give_up = time.monotonic() + 10
    while "here" not in log_tail(log):
        assert time.monotonic() < give_up
        time.sleep(0.01)


def gone(pid: int) -> bool:
    """Whether the process ends within five seconds. A zombie has ended."""
    give_up = time.monotonic() + 5
    while time.monotonic() < give_up:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.01)
    return False


def test_a_killed_process_has_ended_when_the_kill_returns(tmp_path: Path) -> None:
    process = spawned(SLEEPER, tmp_path)
    assert process.alive()
    asyncio.run(process.kill_and_wait())
    assert process.exit_code == -signal.SIGKILL
    assert not psutil.pid_exists(process.pid)
    asyncio.run(process.kill_and_wait())


def test_a_stopped_process_is_alive_and_can_be_killed(tmp_path: Path) -> None:
    process = spawned(SLEEPER, tmp_path)
    process.signal(signal.SIGSTOP)
    give_up = time.monotonic() + 5
    while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
        assert time.monotonic() < give_up
    assert process.alive()
    asyncio.run(process.kill_and_wait())
    assert not process.alive()


def test_a_stopped_process_handles_a_sigterm(tmp_path: Path) -> None:
    process = spawned(SLEEPER, tmp_path)
    process.signal(signal.SIGSTOP)
    asyncio.run(process.terminate(grace_ms=5_000))
    assert process.exit_code == -signal.SIGTERM


def test_a_process_that_ignores_sigterm_is_killed_after_the_grace_period(tmp_path: Path) -> None:
    process = spawned(STUBBORN, tmp_path)
    wait_for_log(tmp_path / "n1" / "log")
    asyncio.run(process.terminate(grace_ms=100))
    assert process.exit_code == -signal.SIGKILL


def test_the_children_of_a_process_are_killed_with_it(tmp_path: Path) -> None:
    process = spawned(("sh", "-c", "sleep 60 & echo $! here; wait"), tmp_path)
    wait_for_log(tmp_path / "n1" / "log")
    child = int(log_tail(tmp_path / "n1" / "log").split()[0])
    asyncio.run(process.kill_and_wait())
    assert gone(child)


def test_both_outputs_go_to_the_log_and_a_restart_appends_to_it(tmp_path: Path) -> None:
    for word in ("first", "second"):
        command = ("sh", "-c", f"echo {word} out; echo {word} err >&2")
        assert asyncio.run(spawned(command, tmp_path).wait(5_000)) == 0
    assert (tmp_path / "n1" / "log").read_text() == (
        "first out\nfirst err\nsecond out\nsecond err\n"
    )


def test_a_program_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SystemFailed, match="cannot start '/no/such'"):
        spawned(("/no/such",), tmp_path)


def test_a_harness_that_is_killed_leaves_no_member_running(tmp_path: Path) -> None:
    code = (
        "import os, sys, time; from pathlib import Path;"
        "from splitbrain.harness.systems.processes.member_process import spawn;"
        f"p = spawn({SLEEPER!r}, os.environ, Path(sys.argv[1]));"
        "print(p.pid, flush=True); time.sleep(60)"
    )
    harness = subprocess.Popen(
        (sys.executable, "-c", code, str(tmp_path / "log")), stdout=subprocess.PIPE
    )
    assert harness.stdout is not None
    member = int(harness.stdout.readline())
    assert psutil.pid_exists(member)
    harness.kill()
    harness.communicate()
    assert gone(member)


def test_a_reserved_port_is_outside_the_kernels_range_and_not_reserved_twice() -> None:
    low, high = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    one, other = Ports(), Ports()
    try:
        taken = [ports.take() for ports in (one, other) for _ in range(50)]
        assert len(set(taken)) == 100
        assert all(port >= PORT_MIN and not low <= port <= high for port in taken)
    finally:
        one.release()
        other.release()
        one.release()


def _take(count: int, answer: Connection) -> None:
    ports = Ports()
    answer.send([ports.take() for _ in range(count)])
    answer.recv()


def test_concurrent_processes_reserve_different_ports() -> None:
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(3)]
    processes = [context.Process(target=_take, args=(100, pipe[1])) for pipe in pipes]
    for process in processes:
        process.start()
    try:
        taken = [port for mine, _ in pipes for port in mine.recv()]
        assert len(set(taken)) == 300
    finally:
        for mine, _ in pipes:
            mine.send("done")
        for process in processes:
            process.join()


def test_a_port_with_a_listener_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ports = "splitbrain.harness.systems.processes.ports"
        monkeypatch.setattr(f"{ports}._candidates", lambda: range(port, port + 1))
        monkeypatch.setattr(f"{ports}._TRIES_MAX", 3)
        with pytest.raises(SystemFailed, match="no free port found"):
            Ports().take()


@pytest.mark.parametrize("find", [owner, _owner_by_psutil], ids=["sock_diag", "psutil"])
def test_the_owner_of_a_connections_other_end_is_found(
    find: Callable[[End, End, Iterable[int]], int | None], tmp_path: Path
) -> None:
    stranger = spawned(SLEEPER, tmp_path)
    try:
        with (
            socket.create_server(("127.0.0.1", 0)) as server,
            socket.create_connection(server.getsockname()) as dialled,
        ):
            here, there = dialled.getsockname(), dialled.getpeername()
            assert find(here, there, (stranger.pid, os.getpid())) == os.getpid()
            assert find(here, there, (stranger.pid,)) is None
            assert find(("127.0.0.1", 1), there, (os.getpid(),)) is None
    finally:
        asyncio.run(stranger.kill_and_wait())
