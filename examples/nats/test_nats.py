"""JetStream loses acknowledged messages when all servers lose power, unless it syncs each one."""

import shutil

import pytest

from splitbrain import read_options, run_sync
from splitbrain.nemesis.linux.mounts import fuse_missing

INSTALL = "apt-get install nats-server fuse3 libfuse2 && pip install 'splitbrain[examples,fuse]'"
pytest.importorskip("nats", reason=INSTALL)
pytestmark = [
    pytest.mark.skipif(shutil.which("nats-server") is None, reason=INSTALL),
    pytest.mark.skipif(bool(fuse_missing()), reason=f"{INSTALL}: {fuse_missing()}"),
    pytest.mark.cluster, pytest.mark.campaign,  # 25 s each
]
RUN = {
    "system": "nats_store:JetStream", "client": "nats_store:JetStreamClient", "workload": "set",
    "workload_options": {"reads_percent": 0}, "nodes": [3], "nemesis": ["nats_store:power_loss"],
    "time_limit_s": 10.0, "rate": 100.0, "seed": 1,
}
NEWER = "nats-server-2.10"


def test_a_power_loss_of_all_servers_loses_acknowledged_messages(tmp_path):
    result = run_sync(read_options({**RUN, "store": str(tmp_path)}), report=False)
    assert result.error == ""
    assert {kind for verdict in result.results.verdicts for kind in verdict.kinds} == {"lost"}


@pytest.mark.skipif(shutil.which(NEWER) is None, reason=f"{NEWER} is not on the PATH")
def test_servers_that_sync_each_message_lose_nothing(tmp_path):
    options = {"program": NEWER, "sync": "always"}
    result = run_sync(
        read_options({**RUN, "system_options": options, "store": str(tmp_path)}), report=False
    )
    assert result.valid is True
