"""Implements `splitbrain hunt --system etcd`, which runs real etcd until a run shows a bug."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from splitbrain.harness.failures.etcd_hunt import HuntedRun

BECAUSE_MAX = 300


def hunt_etcd(chosen: dict[str, Any], budget_s: float, *, every: bool) -> int:
    """Run etcd until a run shows a bug. With `every`, continue until `budget_s` seconds are over.

    The function prints each new cause, and at the end how many runs showed each cause. Returns the
    exit code.
    """
    from splitbrain.harness.cli.interrupt import Stopping
    from splitbrain.harness.drawing.seed import seed_or_drawn
    from splitbrain.harness.exit_codes import EXIT_INTERRUPTED
    from splitbrain.harness.failures.etcd_hunt import hunt_processes

    first = seed_or_drawn(chosen.pop("seed", None))
    counts: dict[str, int] = {}
    runs = failed = 0
    interrupted = False
    try:
        with Stopping() as stopping:
            for run in hunt_processes(first, chosen, budget_s):
                runs += 1
                failed += bool(run.error)
                for cause in run.causes:
                    counts[cause.name] = counts.get(cause.name, 0) + 1
                _print_new(run)
                if run.new and not every:
                    break
                stopping.check()
    except KeyboardInterrupt:
        interrupted = True
    click.echo(f"{runs} runs from seed {first} on: {len(counts)} causes")
    for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
        click.echo(f"  {count:4} runs  {name}")
    if failed:
        click.secho(
            f"{failed} runs failed, because the harness or a member did not work", fg="yellow"
        )
    return 1 if counts else (EXIT_INTERRUPTED if interrupted else 0)


def _print_new(run: HuntedRun) -> None:
    for cause in run.new:
        click.echo(f"{run.seconds:.0f} s, seed {run.seed}: {cause.name}")
        click.echo(f"  {cause.because[:BECAUSE_MAX]}")
        click.echo(f"  reproduce: {run.reproduce}")
