"""Defines the configuration of a member: etcd's flags, under etcd's names."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from splitbrain.node.failpoint import parse_all
from splitbrain.node.jwt_settings import METHODS, TTL_MS, JwtSettings, load_keys
from splitbrain.node.member_and_cluster_id import cluster_id, member_id
from splitbrain.node.tls_settings import NO_CLIENT_TLS, NO_PEER_TLS, TlsSettings


class ConfigError(ValueError):
    """A flag, or a combination of flags, is invalid.

    The message contains the given and the expected value.
    """


@dataclass(frozen=True, slots=True)
class Peer:
    """A member in the initial configuration: its name, id and peer URLs."""

    name: str
    id: int
    peer_urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """What a new member learns from the cluster's members when it joins a running cluster.

    `initial` contains the members with which the cluster began, and `contacts` the present members.
    `voters` contains the present voters without the new member.
    """

    cluster_id: int
    member_id: int
    initial: tuple[Peer, ...]
    contacts: tuple[Peer, ...]
    voters: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """The settings of one member. `checked_config` checks whether they are valid."""

    name: str
    data_dir: str
    initial_cluster: tuple[tuple[str, tuple[str, ...]], ...]
    """The names and advertised peer URLs of all members, sorted by name."""
    listen_client_urls: tuple[str, ...]
    advertise_client_urls: tuple[str, ...]
    listen_peer_urls: tuple[str, ...]
    listen_client_http_urls: tuple[str, ...] = ()
    """The URLs that serve only HTTP. If there are any, `listen_client_urls` serve only gRPC."""
    client_tls: TlsSettings = NO_CLIENT_TLS
    peer_tls: TlsSettings = NO_PEER_TLS
    self_signed_years: int = 1
    """The validity, in years, of a certificate that the member creates for itself."""
    keepalive_min_time_ms: int = 5_000
    """The minimal time between two pings of a client. A client that pings more often is
    disconnected."""
    keepalive_interval_ms: int = 7_200_000
    """The time without data from a client after which the member pings it. 0: never."""
    keepalive_timeout_ms: int = 20_000
    """The time after a ping within which the client must answer. Otherwise it is disconnected."""
    initial_cluster_token: str = "etcd-cluster"
    initial_cluster_state: str = "new"
    """Whether the member starts a "new" cluster, or was added to an "existing" one."""
    force_new_cluster: bool = False
    """Whether this start removes all other members, because a majority of them is lost."""
    joined: Joined | None = None
    """The result of joining, if the member was added to a running cluster, or else None."""
    heartbeat_ms: int = 100
    election_ms: int = 1000
    snapshot_count: int = 10_000
    """The number of applied entries between two snapshots."""
    catch_up_entries: int = 5_000
    """How many entries before a snapshot the log keeps for slow followers."""
    snapshots_kept: int = 5
    """The number of snapshots that are kept.

    Older snapshots are removed, together with the part of the log that only they need.
    """
    request_bytes_max: int = 1_572_864
    txn_operations_max: int = 128
    backend_quota_bytes: int = 2 * 1024**3
    """The size of the backend, in bytes, above which a NOSPACE alarm is raised. Negative: never."""
    backend_batch_interval_ms: int = 100
    backend_batch_operations_max: int = 10_000
    wal_segment_bytes: int = 64 * 1024**2
    seal_log: bool = False
    """Whether each sync of the log also records in another file where the durable log ends.

    With this file, the member notices if the disk loses acknowledged records.
    """
    pre_vote: bool = True
    check_quorum: bool = True
    """Whether a leader steps down if it hears from no majority. If False, it stays leader.

    The Raft paper has no such rule.
    """
    request_timeout_ms: int = 0
    """The timeout of a request. 0 means 5 s plus two election timeouts, as in etcd."""
    watch_progress_interval_ms: int = 600_000
    """The time between two progress notifications to a watcher without events."""
    lease_checkpoint_interval_s: int = 300
    """The interval at which the leader records the remaining time of longer leases. 0: never."""
    corruption_check_interval_ms: int = 0
    """The time between two comparisons of the members' data. 0: they are never compared."""
    initial_corruption_check: bool = False
    """Whether the member compares its data with its peers' data before it serves clients."""
    password_cost_log2: int = 14
    """The base-2 logarithm of the cost of hashing a password with scrypt."""
    auth_token: JwtSettings | None = None
    """How JSON Web Tokens are signed, or None for simple tokens."""
    compaction_period_ms: int = 0
    """If not 0, the leader compacts the revisions that are older than this."""
    compaction_revisions: int = 0
    """If not 0, the leader compacts all but this number of revisions."""
    compaction_interval_ms: int = 300_000
    """The time between two compactions, if a number of revisions is kept."""
    tracing: bool = False
    admin: bool = False
    failpoints: str = ""

    @property
    def election_ticks(self) -> int:
        """The election timeout in ticks. One tick is the heartbeat interval."""
        return self.election_ms // self.heartbeat_ms

    @property
    def lease_ttl_s_min(self) -> int:
        """The shortest time to live of a lease: one and a half election timeouts, rounded up."""
        return -(-(3 * self.election_ticks // 2) * self.heartbeat_ms // 1000)

    @property
    def request_timeout_s(self) -> float:
        """The timeout of a request. Source: etcd's ServerConfig.ReqTimeout."""
        return (self.request_timeout_ms or 5000 + 2 * self.election_ms) / 1000

    @property
    def peers(self) -> tuple[Peer, ...]:
        """All initial members, sorted by name.

        For a new cluster, these are the members in --initial-cluster, among them this member. If
        this member joined a running cluster, these are the members with which the cluster began.
        """
        if self.joined is not None:
            return self.joined.initial
        return tuple(
            Peer(name, member_id(urls, self.initial_cluster_token), urls)
            for name, urls in self.initial_cluster
        )

    @property
    def member_id(self) -> int:
        if self.joined is not None:
            return self.joined.member_id
        return next(peer.id for peer in self.peers if peer.name == self.name)

    @property
    def cluster_id(self) -> int:
        if self.joined is not None:
            return self.joined.cluster_id
        return cluster_id(peer.id for peer in self.peers)


def checked_config(config: Config) -> Config:
    """Return `config` if it is valid. Raises ConfigError."""
    _check_members(config)
    _check_times(config)
    _check_tls(config)
    if config.initial_cluster_state not in ("new", "existing"):
        raise ConfigError(
            f"--initial-cluster-state is {config.initial_cluster_state!r}; expected new or existing"
        )
    for flag, value, least in (
        ("--grpc-keepalive-min-time", config.keepalive_min_time_ms, 0),
        ("--grpc-keepalive-interval", config.keepalive_interval_ms, 0),
        ("--grpc-keepalive-timeout", config.keepalive_timeout_ms, 0),
        ("--self-signed-cert-validity", config.self_signed_years, 1),
        ("--snapshot-count", config.snapshot_count, 1),
        ("--max-snapshots", config.snapshots_kept, 1),
        ("--max-request-bytes", config.request_bytes_max, 1),
        ("--max-txn-ops", config.txn_operations_max, 1),
        ("--snapshot-catchup-entries", config.catch_up_entries, 0),
        ("--auto-compaction-retention", config.compaction_period_ms, 0),
        ("--auto-compaction-retention", config.compaction_revisions, 0),
        ("--password-cost", config.password_cost_log2, 1),
        ("--experimental-corrupt-check-time", config.corruption_check_interval_ms, 0),
        ("--backend-batch-interval", config.backend_batch_interval_ms, 0),
        ("--backend-batch-limit", config.backend_batch_operations_max, 1),
        ("--wal-segment-bytes", config.wal_segment_bytes, 4096),
        ("--experimental-watch-progress-notify-interval", config.watch_progress_interval_ms, 1),
        ("--lease-checkpoint-interval", config.lease_checkpoint_interval_s, 1),
    ):
        if value < least:
            raise ConfigError(f"{flag} is {value}; expected {least} or more")
    if config.auth_token is not None:
        try:
            load_keys(config.auth_token)
        except ValueError as problem:
            raise ConfigError(str(problem)) from problem
    try:
        parse_all(config.failpoints)
    except ValueError as problem:
        raise ConfigError(f"SPLITBRAIN_FAILPOINTS: {problem}") from problem
    return config


def _check_members(config: Config) -> None:
    names = [name for name, _ in config.initial_cluster]
    if config.name not in names:
        raise ConfigError(
            f"--name {config.name!r} is not in --initial-cluster ({', '.join(names) or 'empty'}); "
            "expected NAME=URL for this member and each of its peers"
        )
    urls = [url for _, member_urls in config.initial_cluster for url in member_urls]
    if len(set(urls)) != len(urls):
        raise ConfigError("--initial-cluster contains a peer URL twice")


def _check_times(config: Config) -> None:
    if config.heartbeat_ms < 1:
        raise ConfigError(f"--heartbeat-interval is {config.heartbeat_ms} ms; expected 1 or more")
    if config.election_ms < 5 * config.heartbeat_ms:
        raise ConfigError(
            f"--election-timeout is {config.election_ms} ms; expected at least 5 times "
            f"--heartbeat-interval ({config.heartbeat_ms} ms)"
        )
    if config.election_ms > 50_000:
        raise ConfigError(f"--election-timeout is {config.election_ms} ms; expected 50000 or less")


def _check_tls(config: Config) -> None:
    for tls, urls in (
        (config.client_tls, (*config.listen_client_urls, *config.listen_client_http_urls)),
        (config.peer_tls, config.listen_peer_urls),
    ):
        if problem := tls.problem():
            raise ConfigError(problem)
        https = [url for url in urls if url.startswith("https://")]
        if https and not tls.serves:
            flag = tls.flag_prefix
            raise ConfigError(
                f"{https[0]} needs a certificate; expected {flag}cert-file and {flag}key-file, or"
                f" {flag}auto-tls"
            )


def parse_initial_cluster(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Parse `n1=http://…,n2=http://…`. A name can occur more than once. Raises ConfigError."""
    members: dict[str, list[str]] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, equals, url = entry.partition("=")
        if not equals or not name:
            raise ConfigError(
                f"--initial-cluster: {entry!r} is not a member; expected NAME=URL, "
                "for example n1=http://127.0.0.1:2380"
            )
        members.setdefault(name, []).append(checked_url(url, "--initial-cluster"))
    return tuple((name, tuple(urls)) for name, urls in sorted(members.items()))


_JWT_OPTIONS = ("pub-key", "priv-key", "sign-method", "ttl")


def parse_auth_token(text: str, read: Callable[[str], bytes]) -> JwtSettings | None:
    """Parse --auth-token: `simple`, or `jwt,sign-method=RS256,priv-key=FILE,pub-key=FILE,ttl=5m`.

    Returns None for simple tokens. `read` returns the content of a file. Raises ConfigError.
    """
    kind, *parts = text.split(",")
    if kind == "simple" and not parts:
        return None
    if kind != "jwt":
        raise ConfigError(f"--auth-token is {text!r}; expected simple, or jwt,OPTION=VALUE,…")
    given: dict[str, str] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals or name not in _JWT_OPTIONS or name in given:
            raise ConfigError(
                f"--auth-token: {part!r} is not an option of jwt; expected each of"
                f" {', '.join(_JWT_OPTIONS)} at most once, as NAME=VALUE"
            )
        given[name] = value
    method = given.get("sign-method", "")
    if method not in METHODS:
        raise ConfigError(
            f"--auth-token: sign-method is {method!r}; expected one of {', '.join(METHODS)}"
        )
    private, public = (
        read(given[name]) if name in given else b"" for name in ("priv-key", "pub-key")
    )
    if not private and (method.startswith("HS") or not public):
        keys = "priv-key=FILE" if method.startswith("HS") else "priv-key=FILE or pub-key=FILE"
        raise ConfigError(f"--auth-token: {method} needs a key; expected {keys}")
    ttl_ms = parse_duration_ms(given["ttl"], "--auth-token: ttl") if "ttl" in given else TTL_MS
    return JwtSettings(method, private, public, ttl_ms)


def parse_retention(mode: str, text: str) -> tuple[int, int]:
    """Parse --auto-compaction-retention. Return a time in ms and a number of revisions.

    One of the two results is 0. In the mode `periodic`, `text` is a time, in hours if it has no
    unit, as in etcd. In the mode `revision`, it is a number of revisions. Raises ConfigError.
    """
    flag = "--auto-compaction-retention"
    if mode == "periodic":
        return (int(text) * 3_600_000 if text.isdecimal() else parse_duration_ms(text, flag)), 0
    if mode != "revision":
        raise ConfigError(f"--auto-compaction-mode is {mode!r}; expected periodic or revision")
    if not text.isdecimal():
        raise ConfigError(f"{flag} is {text!r}; expected a number of revisions, such as 1000")
    return 0, int(text)


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


def parse_duration_ms(text: str, flag: str) -> int:
    """Parse a duration in Go's form, such as 250ms, 1.5s or 1h30m. Raises ConfigError."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ConfigError(f"{flag} is {text!r}; expected a duration such as 250ms, 10s or 1h30m")
    return round(sum(float(number) * _UNIT_MS[unit] for number, unit in parts))


def parse_urls(text: str, flag: str) -> tuple[str, ...]:
    """Parse a comma-separated list of http or https URLs with a port. Raises ConfigError."""
    urls = tuple(checked_url(part.strip(), flag) for part in text.split(",") if part.strip())
    if not urls:
        raise ConfigError(f"{flag} is empty; expected a URL such as http://127.0.0.1:2379")
    return urls


def checked_url(url: str, flag: str) -> str:
    """Return `url` if it is a usable address. Raises ConfigError that names `flag`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as problem:
        raise ConfigError(f"{flag}: {url!r} is not a URL: {problem}") from problem
    scheme_known = parts.scheme in ("http", "https")
    if not scheme_known or not parts.hostname or port is None or parts.path.strip("/"):
        raise ConfigError(
            f"{flag}: {url!r} is not a usable address; expected http://HOST:PORT or"
            " https://HOST:PORT"
        )
    return url.rstrip("/")
