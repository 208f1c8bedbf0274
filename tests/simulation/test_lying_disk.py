"""A member whose disk loses or changes durable data may fail, but serves no false data.

Nothing that was acknowledged may be lost.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from splitbrain.harness.judging.run_result import RunResult
from splitbrain.harness.runs.execute import execute_simulated
from splitbrain.harness.runs.execute_twice import difference
from splitbrain.harness.schedule.text import parse_schedule
from splitbrain.harness.store.run_folder import RunFolder
from splitbrain.nemesis.disk_fault import DISK_AREAS

PUTS = "\n".join(
    f'{100 + 20 * n} ms  client {n % 3}  put on n{1 + n % 3}  '
    f'{{"op":"put","key":"r0.{n % 4}","value":"{n % 3}.{n}"}}'
    for n in range(1, 60)
)
RUN = f"""
    members n1 n2 n3, led by n1
    option heartbeat_ms 20
    option election_ms 200
    option request_timeout_ms 400
    setting snapshot_count 10
    setting catch_up_entries 3
    setting wal_segment_bytes 4096
    setting backend_batch_interval_ms 10
    {PUTS}
    lasts 2500 ms
"""
WHOLE_DISK = {
    "rot": "400 ms  rot n3 until 401 ms",
    "lying": '300 ms  disk n3 {"lying":true} until 700 ms\n600 ms  power n3 until 900 ms',
    "misdirected": '300 ms  disk n3 {"misdirect_percent":50} until 700 ms',
}
OF_AN_AREA = {
    "rot": "400 ms  rot n3 {{AREA,\"bits\":3}} until 401 ms",
    "lost": '900 ms  lost n3 {{AREA,"sectors":2}} until 901 ms',
    "lying": '300 ms  disk n3 {{"lying":true,AREA}} until 701 ms',
    "misdirected": '300 ms  disk n3 {{"misdirect_percent":30,AREA}} until 700 ms',
    "torn": '300 ms  disk n3 {{"torn_percent":50,AREA}} until 700 ms',
}
AFTERWARDS = {"lying": "700 ms  power n3 until 900 ms"}


def run(text: str, folder: Path) -> RunResult:
    schedule = parse_schedule(text)
    found = execute_simulated(schedule, RunFolder(folder))
    assert difference(found, schedule) is None
    wrong = {one.checker: one for one in found.results.verdicts if one.valid is False}
    assert not wrong, wrong
    assert found.results.operations["all"]["ok"] > 30
    return found


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("loss", list(WHOLE_DISK))
def test_one_disk_of_three_that_loses_durable_data_makes_no_run_invalid(
    loss: str, seed: int, tmp_path: Path
) -> None:
    kill = "1000 ms  kill n3 until 1200 ms"
    quick = "option quiet_timeout_ms 2000"
    run(f"seed {seed}\n{RUN}\n{quick}\n{WHOLE_DISK[loss]}\n{kill}\n", tmp_path)


@pytest.mark.parametrize("area", DISK_AREAS)
@pytest.mark.parametrize("loss", list(OF_AN_AREA))
def test_a_member_recovers_from_the_loss_of_any_area_of_its_disk(
    loss: str, area: str, tmp_path: Path
) -> None:
    fault = OF_AN_AREA[loss].format().replace("AREA", f'"area":"{area}"')
    outage = AFTERWARDS.get(loss, "1000 ms  power n3 until 1200 ms")
    sealed = "setting seal_log true"
    found = run(f"seed 4\n{RUN}\n{sealed}\n{fault}\n{outage}\n", tmp_path)
    assert found.valid is True
