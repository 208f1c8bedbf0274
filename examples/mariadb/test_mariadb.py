"""Galera loses updates and committed transactions, and reads are stale; one server is valid."""

from pathlib import Path

import pytest

from splitbrain import read_options, run_sync

INSTALL = "apt-get install mariadb-server galera-4 rsync && pip install 'splitbrain[examples]'"
pytest.importorskip("pymysql", reason=INSTALL)
pytestmark = [
    pytest.mark.skipif(not Path("/usr/lib/galera/libgalera_smm.so").exists(), reason=INSTALL),
    pytest.mark.cluster, pytest.mark.campaign,  # 15 to 90 s each
]
CLIENT = {"client": "mariadb_store:MariaDBClient"}
GALERA = {
    **CLIENT, "system": "mariadb_store:Galera", "nodes": [3], "nemesis": [],
    "system_options": {"flush": 0},
}
FINDS = {
    "lost-update": {
        "client_options": {"isolation": "repeatable-read"}, "workload": "list-append",
        "workload_options": {"consistency": "snapshot-isolation"}, "rate": 300.0,
    },
    "stale": {"workload": "set", "rate": 600.0},
    "lost": {
        "workload": "set", "nemesis": ["mariadb_store:all_crash"], "time_limit_s": 20.0,
        "quiet_timeout_ms": 15_000,
    },
}


@pytest.mark.parametrize("anomaly", FINDS)
def test_a_cluster_shows_an_anomaly(anomaly, tmp_path):
    found = set()
    for seed in (1, 2, 3):  # an interleaving without the anomaly is possible
        result = run_sync(read_options({
            **GALERA, "time_limit_s": 5.0, **FINDS[anomaly], "seed": seed, "store": str(tmp_path),
        }), report=False)
        assert result.error == ""
        found |= {kind for verdict in result.results.verdicts for kind in verdict.kinds}
        if anomaly in found:
            break
    assert anomaly in found


@pytest.mark.splitbrain(
    **CLIENT, system="mariadb_store:MariaDB", workload="list-append", nodes=(1,), nemesis=("kill",),
    time_limit_s=10.0,
)
def test_one_serializable_server_is_valid(splitbrain_run):
    splitbrain_run()
