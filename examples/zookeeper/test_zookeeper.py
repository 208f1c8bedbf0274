"""ZooKeeper answers stale reads without `sync`, and none with it."""

from pathlib import Path

import pytest

from splitbrain import read_options, run_sync

INSTALL = "apt-get install zookeeper && pip install 'splitbrain[examples]'"
pytest.importorskip("kazoo", reason=INSTALL)
pytestmark = [
    pytest.mark.skipif(not Path("/usr/share/java/zookeeper.jar").exists(), reason=INSTALL),
    pytest.mark.cluster, pytest.mark.campaign,  # 15 to 60 s each
]
RUN = {
    "system": "zookeeper_store:ZooKeeper", "client": "zookeeper_store:ZooKeeperClient",
    "workload": "register", "nodes": [3],
}


def test_a_read_without_sync_is_stale_in_a_healthy_cluster(tmp_path):
    for seed in (1, 2, 3):  # a run without a stale read is possible
        result = run_sync(read_options({
            **RUN, "client_options": {"sync": 0}, "nemesis": [], "rate": 1000.0,
            "time_limit_s": 5.0, "seed": seed, "store": str(tmp_path),
        }), report=False)
        assert result.error == ""
        if result.valid is False:
            break
    assert {kind for one in result.results.verdicts for kind in one.kinds} == {"not linearizable"}


@pytest.mark.splitbrain(**RUN, nemesis=("kill", "pause", "partition"), time_limit_s=15.0)
def test_reads_after_sync_are_linearizable_under_faults(splitbrain_run):
    splitbrain_run()
