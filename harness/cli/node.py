"""`splitbrain node`: starts a member of the project's own store, or a cluster to play with."""

from __future__ import annotations

from pathlib import Path

import click

MEMBER_OPTIONS = {"ignore_unknown_options": True}


@click.group("node", short_help="Start a member, or a local cluster to play with.")
def command() -> None:
    """Run the project's own store, which serves etcd's v3 API.

    \b
    Examples:
      splitbrain node cluster
      splitbrain node start --name n1 --data-dir n1.etcd
      splitbrain node restore backup.db --name n1 --data-dir n1.etcd
    """


@command.command("start", context_settings=MEMBER_OPTIONS, short_help="Start one member.")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def start(flags: tuple[str, ...]) -> None:
    """Start one member. FLAGS are the flags of a member, as for `python -m splitbrain.node`.

    `python -m splitbrain.node --help` lists them.
    """
    from splitbrain.node.__main__ import main

    main(args=list(flags), prog_name="splitbrain node start", standalone_mode=False)


@command.command("cluster", short_help="Start a local cluster.")
@click.option("--members", default=3, show_default=True, type=click.IntRange(1, 9),
              help="The number of members.")
@click.option("--data-dir", default="splitbrain-cluster", show_default=True, metavar="DIR",
              help="The folder with the members' data. If it exists, its data is used.")
@click.option("--client-port", default=2379, show_default=True, type=click.IntRange(1, 65_535),
              help="The first member's port for clients. Those of the others are 10, 20, … higher.")
@click.option("--tls", is_flag=True,
              help="Encrypt all connections, with certificates of clients and members.")
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def cluster(
    members: int, data_dir: str, client_port: int, *, tls: bool, flags: tuple[str, ...]
) -> int:
    """Start a cluster of members on this machine, and stop it at Ctrl-C.

    Each member is a process, and writes its log to a file in its folder. FLAGS after `--` are
    added to the command line of each member.

    \b
    Example:
      splitbrain node cluster --members 3 -- --snapshot-count 100
    """
    from splitbrain.harness.systems.etcd_like.standalone_cluster import run_local_cluster

    def show(line: str) -> None:
        click.echo(line)

    return run_local_cluster(members, Path(data_dir), client_port, flags, show, tls=tls)


@command.command("restore", context_settings=MEMBER_OPTIONS,
                 short_help="Create a member's data from a backup.")
@click.argument("backup", type=click.Path(exists=True, dir_okay=False))
@click.argument("flags", nargs=-1, type=click.UNPROCESSED)
def restore(backup: str, flags: tuple[str, ...]) -> int:
    """Create a member's data directory from BACKUP, for a new cluster.

    BACKUP is a snapshot of a member of this store, written by `etcdctl snapshot save`. FLAGS are
    the flags with which the member will be started. Restore all members of the new cluster from the
    same backup.
    """
    from splitbrain.harness.errors import BadArguments
    from splitbrain.node.__main__ import restore_member
    from splitbrain.node.config import ConfigError
    from splitbrain.node.member_storage import DataRefused
    from splitbrain.node.storage.backup_file import BackupCorrupt
    from splitbrain.node.world import DirectoryInUse, DiskError

    try:
        click.echo(restore_member(Path(backup), flags, "splitbrain node restore"))
    except (BackupCorrupt, ConfigError, DataRefused, DirectoryInUse, DiskError) as problem:
        raise BadArguments(str(problem)) from problem
    return 0
