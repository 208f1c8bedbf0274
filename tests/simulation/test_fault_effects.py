"""Each fault of a simulated run shows what it has changed, or that it has changed nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitbrain.harness.runs.execute import execute_simulated
from splitbrain.harness.schedule.text import parse_schedule
from splitbrain.harness.store.run_folder import RunFolder

PUTS = "\n".join(
    f'{100 + 20 * n} ms  client {n % 3}  put on n{1 + n % 3}  '
    f'{{"op":"put","key":"r0.{n % 4}","value":"{n % 3}.{n}"}}'
    for n in range(1, 40)
)
RUN = f"""
    seed 3
    members n1 n2 n3, led by n1
    option heartbeat_ms 20
    option election_ms 200
    option request_timeout_ms 400
    option quiet_timeout_ms 3000
    {PUTS}
    lasts 1500 ms
"""


def effects(faults: str, folder: Path) -> list[str | None]:
    """The effects of the faults, in the order of the schedule."""
    found = execute_simulated(parse_schedule(f"{RUN}\n{faults}\n"), RunFolder(folder))
    assert found.valid is not False
    return [one.effect for one in sorted(found.results.faults, key=lambda one: one.fault)]


@pytest.mark.parametrize(("fault", "text"), [
    ("300 ms  kill n2 until 600 ms", "killed n2"),
    ("300 ms  pause n2 until 600 ms", "paused n2"),
    ("300 ms  power n2 until 600 ms", "cut the power of n2"),
    ('300 ms  partition n2 {"shape":"isolate"} until 600 ms', "frames and connections"),
    ('300 ms  latency n2 {"delay_ms":50} until 600 ms', "frames and connections"),
    ('300 ms  disk n2 {"slow_ms":5} until 600 ms', "reads, writes and syncs"),
    ('300 ms  disk n2 {"full":true} until 600 ms', "reads, writes and syncs"),
    ('300 ms  rot n3 {"area":"log","bits":1} until 301 ms', "member/wal/"),
])
def test_a_fault_that_changed_something_says_what(fault: str, text: str, tmp_path: Path) -> None:
    (found,) = effects(fault, tmp_path)
    assert found is not None
    assert text in found


@pytest.mark.parametrize("idle", [
    "400 ms  kill n2 until 500 ms",
    "400 ms  pause n2 until 500 ms",
    '400 ms  disk n2 {"slow_ms":5} until 500 ms',
])
def test_a_fault_of_a_dead_member_has_no_effect(idle: str, tmp_path: Path) -> None:
    assert effects(f"300 ms  kill n2 until 800 ms\n{idle}", tmp_path) == ["killed n2", ""]


def test_a_partition_without_traffic_has_no_effect(tmp_path: Path) -> None:
    dead = "300 ms  kill n2 until 900 ms\n300 ms  kill n3 until 900 ms"
    cut = '500 ms  partition n2 {"links":[["n2","n3"],["n3","n2"]]} until 800 ms'
    assert effects(f"{dead}\n{cut}", tmp_path) == ["killed n2", "killed n3", ""]


def test_rot_of_an_area_without_files_has_no_effect(tmp_path: Path) -> None:
    assert effects('300 ms  rot n3 {"area":"snapshots","bits":1} until 301 ms', tmp_path) == [""]
