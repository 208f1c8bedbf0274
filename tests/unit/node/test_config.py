"""A member accepts valid flags, and explains what is wrong with the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from splitbrain.node.config import (
    Config,
    ConfigError,
    checked_config,
    parse_duration_ms,
    parse_initial_cluster,
    parse_urls,
)
from splitbrain.node.member_and_cluster_id import cluster_id, member_id
from splitbrain.node.tls_settings import TlsSettings

GOOD = Config(
    name="n1",
    data_dir="d",
    initial_cluster=(
        ("n1", ("http://127.0.0.1:1",)),
        ("n2", ("http://127.0.0.1:2",)),
    ),
    listen_client_urls=("http://127.0.0.1:3",),
    advertise_client_urls=("http://127.0.0.1:3",),
    listen_peer_urls=("http://127.0.0.1:1",),
)


def test_a_valid_configuration_is_returned_unchanged() -> None:
    assert checked_config(GOOD) is GOOD


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "n3"}, "'n3' is not in --initial-cluster"),
        ({"heartbeat_ms": 0}, "--heartbeat-interval is 0"),
        ({"election_ms": 400}, "at least 5 times"),
        ({"election_ms": 60_000}, "50000 or less"),
        ({"snapshot_count": 0}, "--snapshot-count is 0"),
        ({"lease_checkpoint_interval_s": 0}, "--lease-checkpoint-interval is 0"),
        ({"watch_progress_interval_ms": 0}, "--experimental-watch-progress-notify-interval is 0"),
        ({"failpoints": "before_x=off"}, "SPLITBRAIN_FAILPOINTS"),
        (
            {
                "initial_cluster": (
                    ("n1", ("http://127.0.0.1:1",)),
                    ("n2", ("http://127.0.0.1:1",)),
                )
            },
            "contains a peer URL twice",
        ),
    ],
)
def test_an_invalid_configuration_is_refused(
    change: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        checked_config(replace(GOOD, **change))  # type: ignore[arg-type]


def test_the_members_of_a_cluster_are_in_the_order_of_their_names() -> None:
    assert parse_initial_cluster("b=http://h:2, a=http://h:1,b=http://h:3") == (
        ("a", ("http://h:1",)),
        ("b", ("http://h:2", "http://h:3")),
    )


@pytest.mark.parametrize(
    "text", ["http://h:1", "=http://h:1", "a=h:1", "a=http://h", "a=http://h:x"]
)
def test_a_malformed_initial_cluster_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--initial-cluster"):
        parse_initial_cluster(text)


def test_a_url_of_another_scheme_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected http://HOST:PORT or https://HOST:PORT"):
        parse_urls("unix://127.0.0.1:2379", "--listen-client-urls")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"listen_client_urls": ("https://h:1",)}, "https://h:1 needs a certificate; expected --c"),
        ({"listen_peer_urls": ("https://h:1",)}, "expected --peer-cert-file"),
        ({"client_tls": TlsSettings(cert_file="a")}, "--cert-file is given without --key-file"),
        ({"client_tls": TlsSettings(key_file="a")}, "--key-file is given without --cert-file"),
        ({"client_tls": TlsSettings(cert_file="a", key_file="b", auto=True)}, "expected one of"),
        (
            {"peer_tls": TlsSettings(flag_prefix="--peer-", allowed_cn="x")},
            "without --peer-trusted-ca-file",
        ),
        ({"self_signed_years": 0}, "--self-signed-cert-validity is 0"),
    ],
)
def test_tls_flags_that_do_not_fit_together_are_refused(
    changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        checked_config(replace(GOOD, **changed))


def test_ids_are_those_that_etcd_derives() -> None:
    # etcd 3.5.1 returned these ids for a cluster of one member at this address, with the
    # default token.
    ours = member_id(["http://localhost:2380"], "etcd-cluster")
    assert f"{ours:x}" == "8e9e05c52164694d"
    assert f"{cluster_id([ours]):x}" == "cdf818194e3a8c32"


@pytest.mark.parametrize(
    ("text", "ms"), [("250ms", 250), ("10m", 600_000), ("1.5s", 1500), ("1h30m", 5_400_000)]
)
def test_a_duration_has_the_syntax_of_go(text: str, ms: int) -> None:
    assert parse_duration_ms(text, "--x") == ms


@pytest.mark.parametrize("text", ["", "10", "ms", "10 s", "-1s"])
def test_a_malformed_duration_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"--x is .* expected a duration"):
        parse_duration_ms(text, "--x")
