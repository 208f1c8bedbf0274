"""Every setting of a member is drawn in simulation, or a reason is given why it is not."""

from __future__ import annotations

import dataclasses
from collections import defaultdict

from splitbrain.harness.drawing.swarm import draw_environment, draw_options
from splitbrain.node.config import Config

SEEDS = range(200)
OF_THE_CLUSTER = {
    "name", "data_dir", "initial_cluster", "listen_client_urls", "advertise_client_urls",
    "listen_peer_urls", "listen_client_http_urls", "initial_cluster_token",
    "initial_cluster_state", "joined",
}
"""What the cluster consists of: names, addresses, and how the member has joined."""
NOT_DRAWN = {
    "seal_log": "on exactly in the runs with storage faults, whose members need it to recover",
    "request_bytes_max": "a smaller limit only refuses requests, before they reach the log",
    "txn_operations_max": "a smaller limit only refuses requests, before they reach the log",
    "backend_quota_bytes": "a full backend refuses all writes; the tests of alarms fill one",
    "watch_progress_interval_ms": "the harness sets it, and the checker watch needs its value",
    "lease_checkpoint_interval_s": "the checker lease needs its value",
    "corruption_check_interval_ms": "off: the harness compares the members' data itself",
    "password_cost_log2": "it is the CPU time of a password check, and virtual time has no CPU",
    "compaction_period_ms": "the load compacts by requests, which the checkers see",
    "compaction_revisions": "the load compacts by requests, which the checkers see",
    "compaction_interval_ms": "it matters only with automatic compaction",
    "tracing": "always on, unless the user turns it off: two checkers need the traces",
    "force_new_cluster": "it gives up the other members, whose writes may be lost",
    "admin": "it adds commands for tests of processes",
    "failpoints": "faults of the kind step set them",
}
"""Setting → why no seed draws it."""


def settings() -> set[str]:
    return {field.name for field in dataclasses.fields(Config)} - OF_THE_CLUSTER


def drawn() -> set[str]:
    """The settings that have different values in runs with different seeds."""
    values: dict[str, set[object]] = defaultdict(set)
    for seed in SEEDS:
        environment = draw_environment(seed).settings
        options = draw_options(seed, {})
        for name in settings():
            # The options of a run are settings of its members, too.
            values[name].add(environment.get(name, options.get(name)))
    return {name for name, found in values.items() if len(found) > 1}


def test_every_setting_is_drawn_or_excluded_for_a_reason() -> None:
    missing = settings() - drawn() - set(NOT_DRAWN)
    assert not missing, f"draw them in harness/drawing/swarm.py, or give a reason: {missing}"


def test_no_reason_is_given_for_a_setting_that_is_drawn_or_gone() -> None:
    assert set(NOT_DRAWN) <= settings() - drawn()
    assert settings() >= {"snapshot_count", "wal_segment_bytes"}
    assert {field.name for field in dataclasses.fields(Config)} >= OF_THE_CLUSTER
