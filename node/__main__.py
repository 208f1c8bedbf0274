"""Runs one member of an etcd-like store as a process: `python -m splitbrain.node`."""

from __future__ import annotations

import asyncio
import gc
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import uvloop

from splitbrain.node.config import (
    Config,
    ConfigError,
    checked_config,
    parse_auth_token,
    parse_duration_ms,
    parse_initial_cluster,
    parse_retention,
    parse_urls,
)
from splitbrain.node.failpoint import ENVIRONMENT_VARIABLE
from splitbrain.node.join_cluster import NotAdmitted
from splitbrain.node.member_storage import DataRefused
from splitbrain.node.real.world import RealWorld
from splitbrain.node.restore import restore
from splitbrain.node.server import Server
from splitbrain.node.tls_flags import client_tls, peer_tls, with_tls_options
from splitbrain.node.world import AddressInUse, DirectoryInUse, DiskError

DEFAULT_QUOTA_BYTES = 2 * 1024**3

EXIT_START = 1

LOOPBACK_CLIENTS = "http://127.0.0.1:2379"
LOOPBACK_PEERS = "http://127.0.0.1:2380"


@click.command(context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]})
@click.option("--name", default="default", show_default=True, help="The name of this member.")
@click.option("--data-dir", help="The directory of the member's data.  [default: NAME.etcd]")
@click.option(
    "--initial-cluster",
    help="All members with their peer URLs: n1=http://…,n2=http://…"
    "  [default: only this member]",
)
@click.option(
    "--initial-cluster-state",
    type=click.Choice(["new", "existing"]),
    default="new",
    show_default=True,
    help="new starts a new cluster. existing is for a member that was added to a running cluster:"
    " at its first start, it asks the members in --initial-cluster for its id.",
)
@click.option(
    "--force-new-cluster",
    is_flag=True,
    help="For a cluster that has lost a majority of its members permanently: this member removes"
    " all other members. Use the flag for one start, with the data of one surviving member.",
)
@click.option(
    "--initial-cluster-token",
    default="etcd-cluster",
    show_default=True,
    help="A name of the cluster. Clusters with different tokens have different ids, even with the"
    " same URLs.",
)
@click.option(
    "--listen-client-urls",
    default=LOOPBACK_CLIENTS,
    show_default=True,
    help="The URLs where the member listens for clients.",
)
@click.option(
    "--listen-client-http-urls",
    help="The URLs where the member listens for clients over HTTP only. If they are given,"
    " --listen-client-urls serve only gRPC.",
)
@click.option(
    "--advertise-client-urls",
    help="The client URLs that the member publishes.  [default: the listen URLs]",
)
@click.option(
    "--listen-peer-urls",
    default=LOOPBACK_PEERS,
    show_default=True,
    help="The URLs where the member listens for peers.",
)
@click.option(
    "--initial-advertise-peer-urls",
    help="The URL where peers reach this member. It must be equal to the URL of this member in"
    " --initial-cluster.  [default: that URL]",
)
@click.option(
    "--grpc-keepalive-min-time",
    default="5s",
    show_default=True,
    metavar="DURATION",
    help="The minimal time between two pings of a gRPC client. A client that sends pings more often"
    " is disconnected.",
)
@click.option(
    "--grpc-keepalive-interval",
    default="2h",
    show_default=True,
    metavar="DURATION",
    help="The time without data from a gRPC client after which the member pings the client. 0s: the"
    " member never pings.",
)
@click.option(
    "--grpc-keepalive-timeout",
    default="20s",
    show_default=True,
    metavar="DURATION",
    help="How long the member waits for the answer to a ping before it disconnects the client.",
)
@with_tls_options
@click.option("--heartbeat-interval", type=int, default=100, show_default=True, metavar="MS")
@click.option("--election-timeout", type=int, default=1000, show_default=True, metavar="MS")
@click.option(
    "--snapshot-count",
    type=int,
    default=10_000,
    show_default=True,
    help="The number of applied entries between two snapshots.",
)
@click.option(
    "--snapshot-catchup-entries",
    type=int,
    default=5_000,
    show_default=True,
    help="The number of entries before a snapshot that stay in the log, for slow followers.",
)
@click.option(
    "--max-snapshots",
    type=int,
    default=5,
    show_default=True,
    help="The number of snapshots that are kept. The log after the oldest of them is kept, too.",
)
@click.option("--max-request-bytes", type=int, default=1_572_864, show_default=True)
@click.option("--max-txn-ops", type=int, default=128, show_default=True)
@click.option(
    "--quota-backend-bytes",
    type=int,
    default=DEFAULT_QUOTA_BYTES,
    show_default=True,
    help="The size of the backend at which writes are refused, with the alarm NOSPACE. 0: the"
    " default. Negative: no quota.",
)
@click.option(
    "--experimental-initial-corrupt-check",
    is_flag=True,
    help="At the start, compare the member's data with its peers' data. The member does not start"
    " if its data differs.",
)
@click.option(
    "--experimental-corrupt-check-time",
    default="0s",
    show_default=True,
    metavar="DURATION",
    help="The interval at which the leader compares its data with its peers'. 0s: never.",
)
@click.option(
    "--auth-token",
    default="simple",
    show_default=True,
    metavar="KIND",
    help="The kind of the tokens that users get when they log in: simple, or"
    " jwt,sign-method=METHOD,priv-key=FILE,pub-key=FILE,ttl=5m. METHOD is HS, RS, PS or ES, with"
    " 256, 384 or 512 after it.",
)
@click.option(
    "--password-cost",
    type=click.IntRange(1, 24),
    default=14,
    show_default=True,
    help="The base-2 logarithm of the cost of hashing a password with scrypt.",
)
@click.option(
    "--auto-compaction-mode",
    type=click.Choice(["periodic", "revision"]),
    default="periodic",
    show_default=True,
    help="Whether --auto-compaction-retention is a duration or a number of revisions.",
)
@click.option(
    "--auto-compaction-retention",
    default="0",
    show_default=True,
    metavar="RETENTION",
    help="How much history is kept: a duration such as 30m, or a number of revisions such as 1000."
    " In the mode periodic, a number without a unit is in hours. 0: never compact.",
)
@click.option(
    "--backend-batch-interval",
    type=int,
    default=100,
    show_default=True,
    metavar="MS",
    help="The maximal time until applied entries are flushed to the backend.",
)
@click.option(
    "--backend-batch-limit",
    type=int,
    default=10_000,
    show_default=True,
    help="The number of applied operations after which the backend is flushed at once.",
)
@click.option("--wal-segment-bytes", type=int, default=64 * 1024**2, show_default=True)
@click.option(
    "--seal-log",
    is_flag=True,
    help="Record the durable end of the log in another file, before entries are acknowledged, so"
    " that a disk that loses synced data is noticed. Costs a second sync for each write.",
)
@click.option(
    "--experimental-watch-progress-notify-interval",
    default="10m",
    show_default=True,
    metavar="DURATION",
    help="The interval of progress notifications to idle watchers that request them: 250ms, 10m.",
)
@click.option(
    "--lease-checkpoint-interval",
    type=int,
    default=300,
    show_default=True,
    metavar="S",
    help="The interval at which the leader records the remaining time of leases. Leases that are"
    " shorter than the interval are not recorded.",
)
@click.option("--pre-vote/--no-pre-vote", default=True, show_default=True)
@click.option(
    "--seed",
    type=int,
    help="The seed of this member's random choices, such as election timeouts.  [default: random]",
)
@click.option(
    "--trace-file",
    help="The file to which the member writes an event for each step of the write path.",
)
@click.option(
    "--hold-unsynced",
    is_flag=True,
    help="Keep unsynced data out of the file system, so that a kill loses it as a power loss"
    " would. For tests only.",
)
@click.option(
    "--admin", is_flag=True, help="Serve /admin/failpoints on the client address. For tests only."
)
def main(**flags: object) -> None:
    """Start one member of an etcd-like store.

    It serves etcd's v3 API as gRPC and as JSON over HTTP (/v3/kv/put …), stores data in a
    write-ahead log and an LMDB file, and replicates with Raft. The flags are etcd's. The
    environment variable SPLITBRAIN_FAILPOINTS sets failpoints.

    Exit codes: 0 if the member was stopped by a signal or removed from the cluster, 1 if it could
    not start or had to stop, 2 if a flag is wrong. For a wrong flag, `splitbrain node start` exits
    with 254 instead.
    """
    try:
        config = member_config(flags)
    except ConfigError as problem:
        raise click.UsageError(str(problem)) from problem
    # All objects that have been created so far are needed until the process ends, so the garbage
    # collector can ignore them.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    # A thread that returns from the disk must not wait 5 ms for the interpreter's lock.
    sys.setswitchinterval(0.0005)
    try:
        code = uvloop.run(_run(config, flags))
    except ConfigError as problem:
        raise click.UsageError(str(problem)) from problem
    sys.stdout.flush()
    # Do not wait for the threads of libraries.
    os._exit(code)


class _Flags:
    """The values of the flags by name.

    Each method returns the value of one flag, converted to the type that `Config` needs.
    """

    def __init__(self, values: dict[str, object]) -> None:
        self._values = values

    def text(self, flag: str) -> str:
        return str(self._values[flag] or "")

    def number(self, flag: str) -> int:
        value = self._values[flag]
        assert isinstance(value, int)
        return value

    def is_set(self, flag: str) -> bool:
        return bool(self._values[flag])

    def duration_ms(self, flag: str) -> int:
        return parse_duration_ms(self.text(flag), _option(flag))

    def urls(self, flag: str, default: str = "") -> tuple[str, ...]:
        """Return the URLs of the flag, or of `default` if the flag is empty."""
        return parse_urls(self.text(flag) or default, _option(flag))

    def optional_urls(self, flag: str) -> tuple[str, ...]:
        """Return the URLs of the flag, or () if the flag is empty."""
        return self.urls(flag) if self.text(flag) else ()


def _option(flag: str) -> str:
    return f"--{flag.replace('_', '-')}"


def member_config(values: dict[str, object]) -> Config:
    """Return the configuration that the values of the flags describe. Raises ConfigError."""
    flags = _Flags(values)
    text, number, duration_ms = flags.text, flags.number, flags.duration_ms
    name = text("name")
    advertised = text("initial_advertise_peer_urls")
    own = f"{name}={advertised or text('listen_peer_urls')}"
    cluster = parse_initial_cluster(text("initial_cluster") or own)
    _check_advertised(name, advertised, cluster)
    period_ms, revisions = parse_retention(
        text("auto_compaction_mode"), text("auto_compaction_retention")
    )
    return checked_config(
        Config(
            name=name,
            data_dir=text("data_dir") or f"{name}.etcd",
            initial_cluster=cluster,
            initial_cluster_token=text("initial_cluster_token"),
            initial_cluster_state=text("initial_cluster_state"),
            force_new_cluster=flags.is_set("force_new_cluster"),
            listen_client_urls=flags.urls("listen_client_urls"),
            advertise_client_urls=flags.urls("advertise_client_urls", text("listen_client_urls")),
            listen_peer_urls=flags.urls("listen_peer_urls"),
            listen_client_http_urls=flags.optional_urls("listen_client_http_urls"),
            keepalive_min_time_ms=duration_ms("grpc_keepalive_min_time"),
            keepalive_interval_ms=duration_ms("grpc_keepalive_interval"),
            keepalive_timeout_ms=duration_ms("grpc_keepalive_timeout"),
            client_tls=client_tls(values),
            peer_tls=peer_tls(values),
            self_signed_years=number("self_signed_cert_validity"),
            heartbeat_ms=number("heartbeat_interval"),
            election_ms=number("election_timeout"),
            snapshot_count=number("snapshot_count"),
            catch_up_entries=number("snapshot_catchup_entries"),
            snapshots_kept=number("max_snapshots"),
            request_bytes_max=number("max_request_bytes"),
            txn_operations_max=number("max_txn_ops"),
            backend_quota_bytes=number("quota_backend_bytes") or DEFAULT_QUOTA_BYTES,
            initial_corruption_check=bool(values["experimental_initial_corrupt_check"]),
            corruption_check_interval_ms=duration_ms("experimental_corrupt_check_time"),
            password_cost_log2=number("password_cost"),
            auth_token=parse_auth_token(text("auth_token"), _content),
            compaction_period_ms=period_ms,
            compaction_revisions=revisions,
            backend_batch_interval_ms=number("backend_batch_interval"),
            backend_batch_operations_max=number("backend_batch_limit"),
            wal_segment_bytes=number("wal_segment_bytes"),
            seal_log=flags.is_set("seal_log"),
            watch_progress_interval_ms=duration_ms("experimental_watch_progress_notify_interval"),
            lease_checkpoint_interval_s=number("lease_checkpoint_interval"),
            pre_vote=flags.is_set("pre_vote"),
            tracing=flags.is_set("trace_file"),
            admin=flags.is_set("admin"),
            failpoints=os.environ.get(ENVIRONMENT_VARIABLE, ""),
        )
    )


def _optional_urls(urls: str, flag: str) -> tuple[str, ...]:
    return parse_urls(urls, flag) if urls else ()


def _content(path: str) -> bytes:
    """Return the content of a file that a flag names. Raises ConfigError."""
    try:
        return Path(path).read_bytes()
    except OSError as problem:
        raise ConfigError(f"cannot read {path}: {problem.strerror}; expected a file") from problem


def _check_advertised(
    name: str, advertised: str, cluster: tuple[tuple[str, tuple[str, ...]], ...]
) -> None:
    if not advertised:
        return
    given = set(parse_urls(advertised, "--initial-advertise-peer-urls"))
    listed = set(dict(cluster).get(name, ()))
    if given != listed:
        raise ConfigError(
            f"--initial-advertise-peer-urls is {advertised}, but --initial-cluster gives "
            f"{name} as {', '.join(sorted(listed)) or 'nothing'}; expected the same"
        )


def _world(config: Config, flags: dict[str, object]) -> RealWorld:
    seed, trace = flags["seed"], flags["trace_file"]
    return RealWorld(
        config.name,
        Path(config.data_dir),
        seed=seed if isinstance(seed, int) else None,
        trace_path=Path(str(trace)) if trace else None,
        backend_quota_bytes=config.backend_quota_bytes,
        hold_unsynced=bool(flags["hold_unsynced"]),
    )


def restore_member(backup: Path, arguments: Sequence[str], command: str) -> str:
    """Create the data of a member from a backup.

    `arguments` are the flags that describe the member. `command` is the command line before
    `arguments`, for messages about wrong flags. If the restoration fails, everything that it
    created is removed again. After DirectoryInUse, nothing is removed.

    Returns one line that says what was restored. Raises ConfigError, DataRefused, DiskError,
    DirectoryInUse, BackupCorrupt, or click's exceptions for wrong flags.
    """
    with main.make_context(command, list(arguments)) as context:
        config = member_config(context.params)
    content = backup.read_bytes()
    folder = Path(config.data_dir)
    existed = folder.exists()
    before = set(folder.iterdir()) if existed else set()
    try:
        world = _world(config, context.params)

        async def work() -> int:
            world.disk.lock()
            try:
                return await restore(world.disk, config, content)
            finally:
                await world.end_tasks()
                world.close()

        revision = asyncio.run(work())
    except DirectoryInUse:
        raise
    except BaseException:
        if existed:
            _remove_new(folder, before)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return f"restored {config.name} at revision {revision} in {config.data_dir}"


def _remove_new(folder: Path, before: set[Path]) -> None:
    """Remove the entries of `folder` that are not in the set `before`."""
    for place in set(folder.iterdir()) - before:
        if place.is_dir():
            shutil.rmtree(place, ignore_errors=True)
        else:
            place.unlink(missing_ok=True)


async def _run(config: Config, flags: dict[str, object]) -> int:
    """Run the member until it stops, and return its exit code.

    Raises ConfigError if a certificate cannot be used.
    """
    try:
        world = _world(config, flags)
        world.network.configure(config)
    except DiskError as problem:
        click.echo(f"error: {problem}", err=True)
        return EXIT_START
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, world.stop, 0, f"received {number.name}")
    server = Server(world, config)
    try:
        await server.start()
    except (AddressInUse, DirectoryInUse, DiskError, DataRefused, NotAdmitted) as problem:
        world.log("fatal", str(problem))
        click.echo(f"error: {problem}", err=True)
        return EXIT_START
    code, why = await world.stopped()
    world.log("info" if code == 0 else "fatal", "stopping", why=why)
    if code == 0:
        await server.stop()
    await world.end_tasks()
    server.close(trim=code == 0)
    # The world is closed last, because this releases the lock on the data directory.
    world.close()
    return code


if __name__ == "__main__":
    main(prog_name="python -m splitbrain.node")
