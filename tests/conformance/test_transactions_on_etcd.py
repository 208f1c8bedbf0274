"""etcd's transactions over lists and registers show no cycle while members are killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitbrain.harness.runs.execute import run_sync
from splitbrain.harness.schedule.options import read_options

pytestmark = [pytest.mark.cluster, pytest.mark.etcd]


@pytest.mark.parametrize("workload", ["append", "wr"])
def test_etcd_is_strictly_serializable_under_kills(workload: str, tmp_path: Path) -> None:
    options = read_options({
        "system": "etcd", "workload": workload, "nodes": (3,), "nemesis": ("kill",),
        "clients": 6, "rate": 150.0, "time_limit_s": 3.0, "seed": 21, "store": str(tmp_path),
    })
    result = run_sync(options, report=False)
    (judged,) = (one for one in result.results.verdicts if one.checker == "transactions")
    assert judged.valid is True, (result.error, judged)
    assert judged.counts["wr"] > 20
