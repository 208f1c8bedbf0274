"""Redis with Sentinel loses acknowledged writes; one Redis that syncs every write does not."""

import shutil

import pytest

from splitbrain import read_options, run_sync

INSTALL = "apt-get install redis-server redis-sentinel && pip install 'splitbrain[examples]'"
pytest.importorskip("redis", reason=INSTALL)
pytestmark = [
    pytest.mark.skipif(shutil.which("redis-server") is None, reason=INSTALL),
    pytest.mark.cluster,
]
CLIENT = {"client": "redis_store:RedisClient", "workload": "set"}


@pytest.mark.campaign  # up to six runs of about 40 s
def test_sentinel_loses_acknowledged_writes_at_a_failover(tmp_path):
    lost = 0
    for seed in range(1, 7):  # an interleaving without a loss is possible
        result = run_sync(read_options({
            **CLIENT, "system": "redis_store:RedisSentinel", "nodes": [3],
            "nemesis": ["partition"], "fault_pace": 0.7, "time_limit_s": 30.0, "seed": seed,
            "store": str(tmp_path),
        }), report=False)
        assert result.error == ""
        lost += sum(verdict.kinds.get("lost", 0) for verdict in result.results.verdicts)
        if lost:
            break
    assert lost
    assert result.valid is False


@pytest.mark.splitbrain(
    **CLIENT, system="redis_store:RedisAlone", nodes=(1,), nemesis=("kill", "pause"),
    time_limit_s=5.0,
)
def test_one_redis_that_syncs_every_write_is_valid(splitbrain_run):
    splitbrain_run()
