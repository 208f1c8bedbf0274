"""The wall clock of a running process is changed by patching its vDSO, and restored."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from splitbrain.nemesis.errors import FaultError
from splitbrain.nemesis.linux import process_clock
from splitbrain.nemesis.linux.process_clock import WallClock, open_clock, true_ns
from splitbrain.nemesis.linux.wall_clock_code import CODE, with_variables

pytestmark = pytest.mark.skipif(
    bool(process_clock.missing()), reason=process_clock.missing() or "-"
)
HOUR_NS = 3_600 * 1_000_000_000
SLACK_NS = 60 * 1_000_000_000
"""More than any pause of this machine between two readings."""
CLOCKS = """
import sys, time
from datetime import datetime
for _ in sys.stdin:
    print(time.time_ns(), time.monotonic_ns(), int(datetime.now().timestamp()), flush=True)
"""


@pytest.fixture
def child() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        (sys.executable, "-c", CLOCKS), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield process
        process.kill()


def readings(child: subprocess.Popen[str]) -> tuple[int, int, int]:
    """The wall clock in ns, the monotonic clock in ns, and the wall clock in s, of the child."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write("\n")
    child.stdin.flush()
    wall_ns, monotonic_ns, wall_s = child.stdout.readline().split()
    return int(wall_ns), int(monotonic_ns), int(wall_s)


def set_clock(
    clock: WallClock, ahead_ns: int, ppm: int = 0, begin_ns: int = 0
) -> None:
    asyncio.run(
        clock.set(ahead_ns=ahead_ns, ppm=ppm, begin_ns=begin_ns, may_resume=lambda: True)
    )


@pytest.mark.parametrize("ahead_ns", [10 * HOUR_NS, -10 * HOUR_NS])
def test_a_jump_moves_every_reading_of_the_wall_clock_and_not_the_monotonic_clock(
    child: subprocess.Popen[str], ahead_ns: int
) -> None:
    readings(child)
    clock = open_clock(child.pid)
    set_clock(clock, ahead_ns)
    wall_ns, monotonic_ns, wall_s = readings(child)
    assert abs(wall_ns - true_ns() - ahead_ns) < SLACK_NS
    assert abs(wall_s - (true_ns() + ahead_ns) // 10**9) < SLACK_NS // 10**9
    assert abs(monotonic_ns - time.monotonic_ns()) < SLACK_NS
    asyncio.run(clock.restore(lambda: True))
    assert abs(readings(child)[0] - true_ns()) < SLACK_NS
    set_clock(open_clock(child.pid), ahead_ns)
    assert abs(readings(child)[0] - true_ns() - ahead_ns) < SLACK_NS


def test_a_drift_grows_with_the_time_since_it_began(child: subprocess.Popen[str]) -> None:
    clock = open_clock(child.pid)
    # As if the drift had begun ten hours ago.
    set_clock(clock, 0, ppm=500_000, begin_ns=true_ns() - 10 * HOUR_NS)
    assert abs(readings(child)[0] - true_ns() - 5 * HOUR_NS) < SLACK_NS
    set_clock(clock, HOUR_NS, ppm=-500_000, begin_ns=true_ns() - 10 * HOUR_NS)
    assert abs(readings(child)[0] - true_ns() + 4 * HOUR_NS) < SLACK_NS


def test_a_changed_clock_cannot_be_changed_by_another_run_and_other_processes_can(
    child: subprocess.Popen[str],
) -> None:
    set_clock(open_clock(child.pid), 10 * HOUR_NS)
    with pytest.raises(FaultError, match="already changed"):
        open_clock(child.pid)
    with subprocess.Popen((sys.executable, "-c", "input()"), stdin=subprocess.PIPE) as other:
        open_clock(other.pid)
    assert readings(child)[0] - time.time_ns() > 9 * HOUR_NS


@pytest.mark.skipif(not shutil.which("as"), reason="the assembler `as` is not installed")
def test_the_bytes_are_those_of_the_assembled_source(tmp_path: Path) -> None:
    source = Path(process_clock.__file__).with_name("wall_clock.S")
    out = tmp_path / "code"
    subprocess.run(("as", "--64", "-o", out, source), check=True)
    subprocess.run(("objcopy", "-O", "binary", "-j", ".text", out, out), check=True)
    assert out.read_bytes() == with_variables(0, 0, 0)
    assert len(CODE) % 16 == 0
