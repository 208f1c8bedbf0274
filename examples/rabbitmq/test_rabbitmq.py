"""An isolated node loses confirmed messages of a classic mirrored queue, not of a quorum queue."""

from pathlib import Path

import pytest

from splitbrain import read_options, run_sync
from splitbrain.nemesis.linux.namespaces import missing

INSTALL = "apt-get install rabbitmq-server nftables && pip install 'splitbrain[examples]'"
pytest.importorskip("pika", reason=INSTALL)
pytestmark = [
    pytest.mark.skipif(not any(Path("/usr/lib/rabbitmq/lib").glob("*/sbin")), reason=INSTALL),
    pytest.mark.skipif(bool(missing()), reason=f"network namespaces: {missing()}"),
    pytest.mark.cluster, pytest.mark.campaign,  # 60 to 180 s each
]
RUN = {
    "system": "rabbitmq_store:RabbitMQ", "network": "namespaces", "nodes": [3],
    "client": "rabbitmq_store:RabbitMQClient", "workload": "queue",
    "workload_options": {"dequeues_percent": 0}, "nemesis": ["rabbitmq_store:one_isolated"],
    "time_limit_s": 20.0, "rate": 50.0, "seed": 1,
}


@pytest.mark.parametrize(("queue", "lost"), [("classic", {"lost"}), ("quorum", set())])
def test_only_a_classic_mirrored_queue_loses_confirmed_messages(queue, lost, tmp_path):
    result = run_sync(read_options({
        **RUN, "client_options": {"queue": queue}, "store": str(tmp_path),
    }), report=False)
    assert result.error == ""
    assert {kind for verdict in result.results.verdicts for kind in verdict.kinds} == lost
    assert result.valid is (not lost)
