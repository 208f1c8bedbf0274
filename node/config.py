"""What a member is started with: etcd's flags under etcd's names, checked once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from splitbrain.node.failpoint import parse_all
from splitbrain.node.identity import cluster_id, member_id


class ConfigError(ValueError):
    """A flag, or flags together, that make no member: what was given, what was expected."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One member of the cluster, as every member knows it."""

    name: str
    id: int
    peer_urls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Config:
    """Checked by `checked_config`; units last."""

    name: str
    data_dir: str
    initial_cluster: tuple[tuple[str, tuple[str, ...]], ...]
    """Names and advertised peer URLs, in the order of the names."""
    listen_client_urls: tuple[str, ...]
    advertise_client_urls: tuple[str, ...]
    listen_peer_urls: tuple[str, ...]
    initial_cluster_token: str = "etcd-cluster"
    heartbeat_ms: int = 100
    election_ms: int = 1000
    snapshot_count: int = 10_000
    """Applied entries between two snapshots."""
    catch_up_entries: int = 5_000
    """Entries kept behind a snapshot, for followers that are a little slow."""
    snapshots_kept: int = 5
    """Older ones are removed, and the log that only they need."""
    request_bytes_max: int = 1_572_864
    txn_operations_max: int = 128
    backend_quota_bytes: int = 2 * 1024**3
    backend_batch_interval_ms: int = 100
    backend_batch_operations_max: int = 10_000
    wal_segment_bytes: int = 64 * 1024**2
    pre_vote: bool = True
    check_quorum: bool = True
    """Off, a leader that hears of nobody leads on, as in Raft's paper."""
    request_timeout_ms: int = 0
    """0: as etcd, 5 s and two election timeouts."""
    watch_progress_interval_ms: int = 600_000
    """Between two notices to a watcher that asked for progress and has no events."""
    tracing: bool = False
    admin: bool = False
    failpoints: str = ""

    @property
    def election_ticks(self) -> int:
        return self.election_ms // self.heartbeat_ms

    @property
    def request_timeout_s(self) -> float:
        """Source: etcd's ServerConfig.ReqTimeout."""
        return (self.request_timeout_ms or 5000 + 2 * self.election_ms) / 1000

    @property
    def peers(self) -> tuple[Peer, ...]:
        """All members, this one too, in the order of their names."""
        return tuple(
            Peer(name, member_id(urls, self.initial_cluster_token), urls)
            for name, urls in self.initial_cluster
        )

    @property
    def member_id(self) -> int:
        return next(peer.id for peer in self.peers if peer.name == self.name)

    @property
    def cluster_id(self) -> int:
        return cluster_id(peer.id for peer in self.peers)


def checked_config(config: Config) -> Config:
    """`config` itself, or ConfigError: what was given, what was expected."""
    _check_members(config)
    _check_times(config)
    for flag, value, least in (
        ("--snapshot-count", config.snapshot_count, 1),
        ("--max-snapshots", config.snapshots_kept, 1),
        ("--max-request-bytes", config.request_bytes_max, 1),
        ("--max-txn-ops", config.txn_operations_max, 1),
        ("--snapshot-catchup-entries", config.catch_up_entries, 0),
        ("--quota-backend-bytes", config.backend_quota_bytes, 1024**2),
        ("--backend-batch-interval", config.backend_batch_interval_ms, 0),
        ("--backend-batch-limit", config.backend_batch_operations_max, 1),
        ("--wal-segment-bytes", config.wal_segment_bytes, 4096),
        ("--experimental-watch-progress-notify-interval", config.watch_progress_interval_ms, 1),
    ):
        if value < least:
            raise ConfigError(f"{flag} is {value}; expected {least} or more")
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
        raise ConfigError("--initial-cluster gives one peer URL to two members")


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


def parse_initial_cluster(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """`n1=http://…,n2=http://…`; a name may stand more than once. Raises ConfigError."""
    members: dict[str, list[str]] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, equals, url = entry.partition("=")
        if not equals or not name:
            raise ConfigError(
                f"--initial-cluster: {entry!r} is no member; expected NAME=URL, "
                "for example n1=http://127.0.0.1:2380"
            )
        members.setdefault(name, []).append(checked_url(url, "--initial-cluster"))
    return tuple((name, tuple(urls)) for name, urls in sorted(members.items()))


_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}


def parse_duration_ms(text: str, flag: str) -> int:
    """As Go writes them, to the millisecond: 250ms, 1.5s, 1h30m. Raises ConfigError."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ConfigError(f"{flag} is {text!r}; expected a duration such as 250ms, 10s or 1h30m")
    return round(sum(float(number) * _UNIT_MS[unit] for number, unit in parts))


def parse_urls(text: str, flag: str) -> tuple[str, ...]:
    """A comma-separated list of http URLs with a port. Raises ConfigError."""
    urls = tuple(checked_url(part.strip(), flag) for part in text.split(",") if part.strip())
    if not urls:
        raise ConfigError(f"{flag} is empty; expected a URL such as http://127.0.0.1:2379")
    return urls


def checked_url(url: str, flag: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as problem:
        raise ConfigError(f"{flag}: {url!r} is no URL: {problem}") from problem
    if parts.scheme != "http" or not parts.hostname or port is None or parts.path.strip("/"):
        raise ConfigError(
            f"{flag}: {url!r} is no address to use; expected http://HOST:PORT"
            + (" (TLS is not served)" if parts.scheme == "https" else "")
        )
    return url.rstrip("/")
