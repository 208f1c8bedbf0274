"""No checker finds the correct member, or etcd, invalid under any faults.

`--splitbrain-runs N` runs N seeds of each test. A failure prints the command that reproduces
it. Its seed belongs into histories/corpus, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = [pytest.mark.campaign, pytest.mark.cluster]

TIME_LIMIT_S = 9.0
FAULTS = (
    ("kill",),
    ("pause", "latency"),
    ("partition", "latency"),
    ("kill", "pause", "partition", "latency"),
)


@pytest.mark.parametrize("nemesis", FAULTS, ids="-".join)
@pytest.mark.parametrize("nodes", [1, 3, 5])
@pytest.mark.parametrize("workload", ["kv", "register", "set", "append", "wr"])
def test_a_correct_member_is_never_invalid(
    splitbrain_run: Callable[..., Any], workload: str, nodes: int, nemesis: tuple[str, ...]
) -> None:
    splitbrain_run(
        system="python_node",
        workload=workload,
        nodes=[nodes],
        nemesis=list(nemesis),
        time_limit_s=TIME_LIMIT_S,
        heartbeat_ms=30,
        election_ms=300,
        member_flags=["--hold-unsynced"],
    )


@pytest.mark.etcd
@pytest.mark.parametrize("nemesis", FAULTS, ids="-".join)
@pytest.mark.parametrize("workload", ["kv", "register", "set", "append", "wr"])
def test_etcd_is_never_invalid(
    splitbrain_run: Callable[..., Any], workload: str, nemesis: tuple[str, ...]
) -> None:
    splitbrain_run(
        system="etcd",
        workload=workload,
        nodes=[3],
        nemesis=list(nemesis),
        time_limit_s=TIME_LIMIT_S,
    )
