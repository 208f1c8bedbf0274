"""Members of AntiEtcd crash under faults; without faults, its strict mode shows no anomaly."""

import shutil

import pytest

from splitbrain import read_options, run_sync

INSTALL = "npm install --global antietcd"
pytestmark = [
    pytest.mark.skipif(shutil.which("antietcd") is None, reason=INSTALL),
    pytest.mark.cluster, pytest.mark.campaign,  # 20 to 60 s each
]
RUN = {
    "system": "antietcd_store:AntiEtcd", "client": "antietcd_store:AntiEtcdClient",
    "workload": "list-append", "nodes": [3],
}


def test_members_crash_under_kills_pauses_and_partitions(tmp_path):
    for seed in range(1, 5):  # a run without a crash is possible
        result = run_sync(read_options({
            **RUN, "nemesis": ["kill", "pause", "partition"], "time_limit_s": 20.0, "seed": seed,
            "quiet_timeout_ms": 15_000, "store": str(tmp_path),
        }), report=False)
        assert result.error == ""
        found = [
            anomaly.because for verdict in result.results.verdicts for anomaly in verdict.anomalies
        ]
        if found:
            break
    assert "not locked" in found[0]


@pytest.mark.splitbrain(**RUN, nemesis=(), time_limit_s=5.0)
def test_transactions_are_strict_serializable_without_faults(splitbrain_run):
    splitbrain_run()
