"""PostgreSQL's isolation levels: write skew, lost updates, and the control without anomalies."""

import pytest

from splitbrain import read_options, run_sync

INSTALL = "apt-get install postgresql && pip install 'splitbrain[examples]'"
pytest.importorskip("psycopg", reason=INSTALL)
from postgresql_store import BINARIES  # noqa: E402 - it imports psycopg

pytestmark = [
    pytest.mark.skipif(not (BINARIES / "initdb").exists(), reason=INSTALL),
    pytest.mark.cluster,
]
FINDS = {
    "serializable": set(), "repeatable-read": {"G2-item"}, "read-committed": {"incompatible-order"},
}


@pytest.mark.parametrize("isolation", [
    "serializable", "repeatable-read",
    pytest.param("read-committed", marks=pytest.mark.campaign),
])
def test_an_isolation_level_shows_its_anomalies(isolation, tmp_path):
    for seed in (1, 2, 3):  # an interleaving without an anomaly is possible
        result = run_sync(read_options({
            "system": "postgresql_store:PostgreSQL",
            "client": "postgresql_store:PostgreSQLClient",
            "client_options": {"isolation": isolation}, "workload": "list-append",
            "workload_options": {"consistency": "serializable"}, "nodes": [1], "nemesis": [],
            "rate": 300.0, "time_limit_s": 3.0, "seed": seed, "store": str(tmp_path),
        }), report=False)
        assert result.error == ""
        found = {kind for verdict in result.results.verdicts for kind in verdict.kinds}
        assert result.valid is (not FINDS[isolation]) or not found
        if found >= FINDS[isolation]:
            break
    assert found >= FINDS[isolation]
