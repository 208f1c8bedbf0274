"""Tests the store. A failure shows the anomaly, the report and the command that repeats it."""

from typing import Any

import pytest

STORE = {"system": "my_store:MySystem", "client": "my_store:MyClient", "nodes": (1,)}


@pytest.mark.splitbrain(**STORE, nemesis=("kill", "pause"), time_limit_s=5.0)
@pytest.mark.parametrize("workload", ["register", "cas-register", "set"])
def test_the_store_keeps_its_promises(splitbrain_run: Any, workload: str) -> None:
    splitbrain_run(workload=workload)
