"""Every setting of a member is drawn in simulation, or a reason is given why it is not."""

from __future__ import annotations

import dataclasses
from collections import defaultdict

from splitbrain.harness.drawing.schedule_drawing import member_settings
from splitbrain.harness.drawing.swarm_options import draw_environment, draw_options
from splitbrain.harness.schedule.options import read_options
from splitbrain.harness.workloads.workload_of_run import workload_of
from splitbrain.node.config import Config

SEEDS = range(200)
OF_THE_CLUSTER = {
    "name", "data_dir", "initial_cluster", "listen_client_urls", "advertise_client_urls",
    "listen_peer_urls", "listen_client_http_urls", "initial_cluster_token",
    "initial_cluster_state", "joined",
}
"""What the cluster consists of: names, addresses, and how the member has joined."""
NOT_DRAWN = {
    "seal_log": "on in the runs with storage faults, whose members need it to recover, and in a "
    "third of those with crashes at disk operations",
    "watch_progress_interval_ms": "drawn in the runs with the workload watch",
    "lease_checkpoint_interval_s": "the checker lease needs its value",
    "client_tls": "simulated connections have no bytes to encrypt",
    "peer_tls": "simulated connections have no bytes to encrypt",
    "keepalive_interval_ms": "simulated connections have no HTTP/2 pings",
    "keepalive_timeout_ms": "simulated connections have no HTTP/2 pings",
    "keepalive_min_time_ms": "simulated connections have no HTTP/2 pings",
    "self_signed_years": "it matters only with TLS",
    "tracing": "always on, unless the user turns it off: two checkers need the traces",
    "force_new_cluster": "it gives up the other members, whose writes may be lost",
    "admin": "it adds commands for tests of processes",
    "failpoints": "faults of the kind step set them",
}
"""Setting → why no seed draws it."""


SCHEDULED_AS = {"auth_token": "jwt_ttl_ms"}
"""Setting → its name in a schedule, if that is another one."""


def settings() -> set[str]:
    return {field.name for field in dataclasses.fields(Config)} - OF_THE_CLUSTER


def drawn() -> set[str]:
    """The settings that have different values in runs with different seeds."""
    values: dict[str, set[object]] = defaultdict(set)
    for seed in SEEDS:
        environment = draw_environment(seed).settings
        options = draw_options(seed, {})
        chosen = read_options(options)
        own = member_settings(workload_of(chosen), chosen.system)
        for name in settings():
            # The options of a run are settings of its members, too.
            values[name].add(
                own.get(SCHEDULED_AS.get(name, name), environment.get(name, options.get(name)))
            )
    return {name for name, found in values.items() if len(found) > 1}


def test_every_setting_is_drawn_or_excluded_for_a_reason() -> None:
    missing = settings() - drawn() - set(NOT_DRAWN)
    assert not missing, (
        f"draw them in harness/drawing/swarm_options.py, or give a reason: {missing}"
    )


def test_no_reason_is_given_for_a_setting_that_is_drawn_or_gone() -> None:
    assert set(NOT_DRAWN) <= settings() - drawn()
    assert settings() >= {"snapshot_count", "wal_segment_bytes"}
    assert {field.name for field in dataclasses.fields(Config)} >= OF_THE_CLUSTER
