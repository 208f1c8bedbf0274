"""Disks that break their word: the member that has one is not blamed, and serves nothing false."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitbrain.harness.runs.execute import execute_simulated
from splitbrain.harness.runs.repeat import difference
from splitbrain.harness.schedule.text import parse_schedule
from splitbrain.harness.store.run_folder import RunFolder

PUTS = "\n".join(
    f'{100 + 20 * n} ms  client {n % 3}  put on n{1 + n % 3}  '
    f'{{"op":"put","key":"r0.{n % 4}","value":"{n % 3}.{n}"}}'
    for n in range(1, 60)
)
RUN = f"""
    members n1 n2 n3, led by n1
    option heartbeat_ms 20
    option election_ms 200
    option quiet_timeout_ms 2000
    option request_timeout_ms 400
    {PUTS}
    lasts 2500 ms
"""
BETRAYALS = {
    "rot": "400 ms  rot n3 until 401 ms",
    "lying": '300 ms  disk n3 {"lying":true} until 700 ms\n600 ms  power n3 until 900 ms',
    "misdirected": '300 ms  disk n3 {"misdirect_percent":50} until 700 ms',
}


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("betrayal", list(BETRAYALS))
def test_one_disk_of_three_that_betrays_its_member_makes_nothing_invalid(
    betrayal: str, seed: int, tmp_path: Path
) -> None:
    schedule = parse_schedule(
        f"seed {seed}\n{RUN}\n{BETRAYALS[betrayal]}\n1000 ms  kill n3 until 1200 ms\n"
    )
    run = execute_simulated(schedule, RunFolder(tmp_path))
    assert difference(run, schedule) is None
    wrong = {one.checker: one for one in run.results.verdicts if one.valid is False}
    assert not wrong, wrong
    assert run.results.operations["all"]["ok"] > 30
