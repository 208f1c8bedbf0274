"""Kills the workers of a campaign on a cluster of Dask. Is a run lost, or counted twice?

    python -m tests.campaigns.killed_workers --runs 10000 --every 60

The program creates a cluster of --workers processes on this machine, and starts `splitbrain
campaign` with it. After each --every seconds it kills a worker, drawn at random, with SIGKILL. At
the end it compares the log of the campaign and the database of runs with the runs that were to be
done.
"""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import click
from distributed import LocalCluster

from splitbrain.harness.campaign.dask_workers import local_cluster
from splitbrain.harness.cli.main import run_main
from splitbrain.harness.store.campaign_folder import Ended, campaign_folder
from splitbrain.harness.store.database.database import open_database

NAME = "killed-workers"


@click.command()
@click.option("--runs", default=10_000, show_default=True)
@click.option("--every", default=60.0, show_default=True, help="Seconds between two kills.")
@click.option("--workers", default=2, show_default=True)
@click.option("--time-limit", default=2.0, show_default=True, help="Of the load of each run.")
@click.option("--store", type=click.Path(path_type=Path), default=None,
              help="The store of the campaign.  [default: a temporary folder]")
def main(runs: int, every: float, workers: int, time_limit: float, store: Path | None) -> None:
    """Exit codes: 0 no run was lost or counted twice, 1 a run was."""
    with tempfile.TemporaryDirectory() as folder, local_cluster(workers) as cluster:
        place = store or Path(folder)
        killer = Killer(cluster, every)
        killer.start()
        began = time.monotonic()
        code = run_main([
            "campaign", "--campaign", NAME, "--runs", str(runs), "--seed", "1", "--corpus", "none",
            "--time-limit", str(time_limit), "--shrink", "0", "--store", str(place),
            "--scheduler", cluster.scheduler_address,
        ])
        wall_s = time.monotonic() - began
        killer.stop()
        ended = [
            one.number for one in campaign_folder(place, NAME).lines() if isinstance(one, Ended)
        ]
        with open_database(place) as connection:
            rows = rows_of(connection)
    lost = sorted(set(range(1, runs + 1)) - set(ended))
    twice = [number for number, count in Counter(ended).items() if count > 1]
    print(f"{len(ended):,} runs in {wall_s:,.0f} s, {killer.kills} workers killed; "
          f"lost {lost[:5]}, twice {twice[:5]}, rows in the database {rows:,}; exit code {code}")
    sys.exit(bool(lost or twice or rows != runs))


def rows_of(connection: sqlite3.Connection) -> int:
    (count,) = connection.execute("SELECT count(*) FROM runs").fetchone()
    return int(count)


class Killer(threading.Thread):
    """Kills a worker of `cluster` after each `every_s` seconds."""

    def __init__(self, cluster: LocalCluster, every_s: float) -> None:
        super().__init__(daemon=True)
        self._cluster, self._every_s = cluster, every_s
        self._draw = random.Random(1)
        self._stopped = threading.Event()
        self.kills = 0

    def run(self) -> None:
        while not self._stopped.wait(self._every_s):
            alive = [one.process.pid for one in list(self._cluster.workers.values()) if one.process]
            pids = [pid for pid in alive if pid]
            if pids:
                os.kill(self._draw.choice(pids), signal.SIGKILL)
                self.kills += 1

    def stop(self) -> None:
        self._stopped.set()
        self.join()


if __name__ == "__main__":
    main()
