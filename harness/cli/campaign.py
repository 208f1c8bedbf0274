"""`splitbrain campaign`: runs many combinations of systems, workloads, faults and seeds."""

from __future__ import annotations

from collections.abc import Generator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splitbrain.harness.cli.run_options import WORKERS_MAX, given, run_options
from splitbrain.harness.cli.time_option import duration
from splitbrain.harness.counted import counted
from splitbrain.harness.errors import BadArguments

if TYPE_CHECKING:
    from splitbrain.harness.campaign.recorded_campaign import (
        Budget,
        Execute,
        JobSource,
        Progressed,
        RecordedCampaign,
    )
    from splitbrain.harness.store.campaign_folder import CampaignFolder, CampaignRecord

WORKLOADS = ("kv", "register", "set", "watch", "append")
MEMBERS = (1, 3, 5)
PROGRESS_S = 10.0
SHRINK_S = 20.0
CORPUS = "histories/corpus"


@click.command("campaign", short_help="Run many configurations and seeds, and group the failures.")
@run_options
@click.option("--runs", type=click.IntRange(min=1), default=None, metavar="N",
              help="End when the campaign has had N runs.")
@click.option("--time", "limit", callback=duration, default=None, metavar="TIME",
              help="End after TIME, such as 30m or 8h.")
@click.option("--finds", type=click.IntRange(min=1), default=None, metavar="N",
              help="End when N groups of failures were found. Accepted groups do not count.")
@click.option("--strength", type=click.IntRange(1, 5), default=2, show_default=True, metavar="N",
              help="Try every combination of values of N axes in each round.")
@click.option("--adaptive", is_flag=True,
              help="Choose each run by the conditions that earlier runs reached, such as an "
                   "election. Simulation only.")
@click.option("--workers", type=click.IntRange(1, WORKERS_MAX), default=None, metavar="N",
              help="The number of processes that execute runs.  [default: 1]")
@click.option("--scheduler", default="", metavar="ADDRESS",
              help="Execute the runs on a cluster of Dask. ADDRESS is the address of the cluster's "
                   "scheduler, such as tcp://127.0.0.1:8786. `local` starts a cluster of "
                   "--workers processes on this machine.")
@click.option("--fetch", is_flag=True,
              help="With --scheduler and real processes: if a run is not valid, copy its folder "
                   "from the worker into the store.")
@click.option("--corpus", type=click.Path(file_okay=False, path_type=Path), default=Path(CORPUS),
              show_default=True, help="The folder of saved runs, which are repeated first.")
@click.option("--campaign", "campaign_name", default="", metavar="NAME",
              help="The name of the campaign.  [default: TIME-SEED]")
@click.option("--resume", default="", metavar="NAME",
              help="Continue the campaign NAME; `latest` is the newest.")
@click.option("--shrink", "shrink_s", type=click.FloatRange(min=0), default=SHRINK_S,
              show_default=True, metavar="S",
              help="How long to shrink each new group of failures, in seconds; 0: not at all.")
@click.option("--keep-valid", is_flag=True,
              help="Also keep the folders of valid runs of real processes.")
@click.option("--quiet", is_flag=True, help="Print only the result.")
def command(
    runs: int | None, limit: Any, finds: int | None, strength: int, adaptive: bool,
    workers: int | None, scheduler: str, fetch: bool, corpus: Path, campaign_name: str,
    resume: str, shrink_s: float, keep_valid: bool, quiet: bool,
    **options: Any,
) -> int:
    """Run many configurations and seeds, and put the failures into groups.

    The axes of the campaign are --system, --workload, --nemesis and --nodes. Each has one or
    more values, separated by commas. Without these options, the campaign simulates this
    project's own store with the workloads kv, register, set, watch and append, all kinds of
    faults, and 1, 3 and 5 members.

    A configuration has one system, one workload, one number of members, and at most two kinds of
    faults. A round is a set of configurations with one run each. In a round, every combination of
    values of any two axes occurs (with --strength N, of any N axes). Each further round consists of
    other configurations and other seeds.

    First, the campaign repeats the saved runs in --corpus whose system and workload are among the
    axes. Every run is added to the database that `splitbrain runs` searches.

    Failures that probably have the same cause are put into one group, and one failure of each group
    is shrunk. `splitbrain groups` lists the groups. A group that was accepted does not make the
    campaign invalid.

    Ctrl-C ends the campaign, and --resume continues it. The finished runs are kept, and the
    runs that were in progress are repeated. Without --runs, --time and --finds, the campaign
    is one round.

    With --scheduler, a cluster of Dask executes the runs (extra `dask`). If one of its workers
    dies, another worker repeats the run.

    \b
    Examples:
      splitbrain campaign --runs 1000 --workers 2
      splitbrain campaign --time 8h --finds 5 --adaptive
      splitbrain campaign --system etcd,python_node --workload kv,watch --time-limit 10
      splitbrain campaign --resume latest --time 1h
      splitbrain campaign --runs 10000 --scheduler tcp://127.0.0.1:8786

    \b
    Exit codes: 1 a failure was found that is not accepted, else 130 if Ctrl-C ended the
    campaign, else 2 if a run is unknown, else 0; 254 bad arguments, 255 the harness failed.
    """
    from splitbrain.harness.campaign.recorded_campaign import RecordedCampaign

    chosen = given(options)
    _check_workers(workers, scheduler, fetch=fetch)
    if limit is not None and not limit:
        raise BadArguments("--time 0: expected more than 0")
    if resume:
        store, folder = _resumed(resume, chosen)
    else:
        store, folder = _created(chosen, campaign_name, strength, adaptive, corpus)
    record = folder.read_record()
    if adaptive and not record.adaptive:
        raise BadArguments(f"--adaptive: the campaign {record.name} is not adaptive")
    budget = _budget(record, runs, limit.total_seconds() if limit else None, finds)
    campaign = RecordedCampaign(store, folder, _source(record, folder, store, keep_valid))
    if not quiet:
        click.echo(f"campaign {record.name}: {folder.path}")
        if campaign.done:
            click.echo(f"continued after {counted(len(campaign.done), 'run')}")
    execute = _execute(workers or 1, scheduler, store, fetch=fetch)
    interrupted = _run(campaign, budget, execute, quiet=quiet)
    if shrink_s and not interrupted:
        interrupted = _shrink(campaign, store, shrink_s, quiet=quiet)
    return _conclude(campaign, record, interrupted=interrupted)


def _budget(
    record: CampaignRecord, runs: int | None, seconds: float | None, finds: int | None
) -> Budget:
    """Return the limits of the campaign: those in the options, or one round if they set none.

    An adaptive campaign has no rounds. Raises BadArguments if the options set no limit for an
    adaptive campaign.
    """
    from splitbrain.harness.campaign.plan import round_size
    from splitbrain.harness.campaign.recorded_campaign import Budget

    if runs is None and seconds is None and finds is None:
        if record.adaptive:
            raise BadArguments("--adaptive: give --runs, --time or --finds, because an adaptive "
                               "campaign has no rounds")
        runs = len(record.saved_runs) + round_size(record)
    return Budget(runs=runs, seconds=seconds, finds=finds)


def _source(
    record: CampaignRecord, folder: CampaignFolder, store: Path, keep_valid: bool
) -> JobSource:
    from splitbrain.harness.campaign.adaptive_jobs import AdaptiveJobs
    from splitbrain.harness.campaign.plan import planned
    from splitbrain.harness.campaign.recorded_campaign import PlannedJobs

    if record.adaptive:
        return AdaptiveJobs(record, folder, store)
    return PlannedJobs(planned(record, store, keep_valid=keep_valid), set(folder.ended()))


def _created(
    chosen: dict[str, Any], name: str, strength: int, adaptive: bool, corpus: Path
) -> tuple[Path, CampaignFolder]:
    """Make the folder of a new campaign, and return the store and the folder.

    `chosen` are the options of the runs. Raises BadArguments if the store contains a campaign
    called `name`.
    """
    import msgspec

    from splitbrain.harness.campaign.covering import check_axes
    from splitbrain.harness.campaign.plan import fitting
    from splitbrain.harness.drawing.seed import seed_or_drawn
    from splitbrain.harness.schedule.options import read_options
    from splitbrain.harness.schedule.schedule import SIMULATED
    from splitbrain.harness.store.campaign_folder import CampaignRecord, campaign_folder
    from splitbrain.harness.store.failure_groups import NAME
    from splitbrain.harness.store.versions import versions_now

    store = Path(chosen.pop("store", None) or read_options({}).store).absolute()
    seed = seed_or_drawn(chosen.pop("seed", None))
    now = datetime.now(UTC)
    name = name or f"{now:%Y%m%dT%H%M%SZ}-{seed}"
    if not NAME.fullmatch(name):
        raise BadArguments(f"--campaign {name!r}: expected letters, digits and . _ -")
    folder = campaign_folder(store, name)
    if folder.path.exists():
        raise BadArguments(f"{folder.path} exists; continue it with --resume {name}, or give "
                           "another name")
    of_adaptive = {**chosen, "system": SIMULATED}
    axes = _axes(chosen, strength)
    check_axes(axes)
    if adaptive and (axes.systems != (SIMULATED,) or "," in of_adaptive.get("workload", "")):
        raise BadArguments("--adaptive: an adaptive campaign only simulates, and draws the "
                           "workload of each run unless one is given")
    record = CampaignRecord(
        name=name, seed=seed, axes=axes, given=chosen, adaptive=adaptive,
        started=now.isoformat(timespec="seconds"), versions=versions_now(),
    )
    if adaptive:
        record = msgspec.structs.replace(record, given=of_adaptive)
    elif corpus.is_dir():
        saved = fitting(corpus, record)
        record = msgspec.structs.replace(record, corpus=str(corpus.absolute()), saved_runs=saved)
    folder.path.mkdir(parents=True)
    folder.write_record(record)
    return store, folder


def _axes(chosen: dict[str, Any], strength: int) -> Any:
    """Return the axes of the campaign from the options `chosen`, and remove these options."""
    from splitbrain.harness.campaign.covering import supports
    from splitbrain.harness.drawing.swarm_options import KIND_WEIGHTS
    from splitbrain.harness.schedule.schedule import SIMULATED
    from splitbrain.harness.store.campaign_folder import Axes

    systems = _words(chosen.pop("system", SIMULATED))
    kinds = chosen.pop("nemesis", None)
    if kinds is None:
        kinds = [one for one in KIND_WEIGHTS if any(supports(system, one) for system in systems)]
    return Axes(
        systems=systems, workloads=_words(chosen.pop("workload", ",".join(WORKLOADS))),
        kinds=tuple(kinds), members=tuple(chosen.pop("nodes", MEMBERS)), strength=strength,
    )


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _resumed(name: str, chosen: dict[str, Any]) -> tuple[Path, CampaignFolder]:
    """Return the store and the folder of the campaign `name`, which is to be continued.

    Raises BadArguments if there is no such campaign, or if `chosen` contains options of runs,
    because a campaign cannot change them.
    """
    from splitbrain.harness.schedule.options import flag_of, read_options
    from splitbrain.harness.store.campaign_folder import campaign_folder, campaign_folders

    others = sorted(chosen.keys() - {"store"})
    if others:
        raise BadArguments(
            f"--{flag_of(others[0])} with --resume: the campaign determines its runs; give only "
            "--runs, --time, --finds, --workers, --scheduler, --fetch, --shrink, --keep-valid and "
            "--store"
        )
    store = Path(chosen.get("store") or read_options({}).store).absolute()
    known = campaign_folders(store)
    if name == "latest" and known:
        return store, max(known, key=lambda one: one.read_record().started)
    if name not in [one.path.name for one in known]:
        raise BadArguments(
            f"--resume {name}: {store} does not contain this campaign; it contains "
            f"{', '.join(one.path.name for one in known) or 'none'}"
        )
    return store, campaign_folder(store, name)


def _check_workers(workers: int | None, scheduler: str, *, fetch: bool) -> None:
    """Raise BadArguments if --workers, --scheduler and --fetch contradict each other."""
    from importlib.util import find_spec

    if fetch and not scheduler:
        raise BadArguments("--fetch: without --scheduler, the folders are in the store already")
    if scheduler and find_spec("distributed") is None:
        raise BadArguments("--scheduler: Dask is not installed; pip install 'splitbrain[dask]'")
    if scheduler not in ("", "local") and workers is not None:
        raise BadArguments(f"--workers: the workers are those of the cluster at {scheduler}")


def _execute(workers: int, scheduler: str, store: Path, *, fetch: bool) -> Execute:
    from splitbrain.harness.campaign.process_workers import (
        Finished,
        NextJob,
        in_processes,
        in_this_process,
    )

    def on_cluster(next_job: NextJob) -> Generator[Finished, None, None]:
        from splitbrain.harness.campaign.dask_workers import in_dask

        return in_dask(next_job, scheduler, workers, store, fetch=fetch)

    def on_processes(next_job: NextJob) -> Generator[Finished, None, None]:
        return in_processes(next_job, workers)

    if scheduler:
        return on_cluster
    return in_this_process if workers == 1 else on_processes


def _run(campaign: RecordedCampaign, budget: Budget, execute: Execute, *, quiet: bool) -> bool:
    """Run the campaign and print its progress. Return whether Ctrl-C ended it."""
    import time

    from splitbrain.harness.cli.interrupt import Stopping

    began = printed = time.monotonic()
    with Stopping() as stopping:
        try:
            for one in campaign.run(budget, execute):
                now = time.monotonic()
                if one.new_group is not None:
                    click.echo("\n".join(_group_lines(one)), err=True)
                if not quiet and now - printed >= PROGRESS_S:
                    printed = now
                    click.echo(f"{counted(len(campaign.done), 'run')} in {now - began:,.0f} s, "
                               f"{counted(len(campaign.new_finds), 'group')} of failures")
                stopping.check()
        except KeyboardInterrupt:
            return True
    return False


def _group_lines(one: Progressed) -> list[str]:
    assert one.new_group is not None
    return [
        f"new group {one.new_group.name}: run {one.ended.number}, seed {one.ended.row.seed}",
        f"  {one.new_group.because}",
        f"  {one.ended.row.reproduce}",
    ]


def _shrink(campaign: RecordedCampaign, store: Path, budget_s: float, *, quiet: bool) -> bool:
    """Shrink the new groups of failures of the campaign. Return whether Ctrl-C ended the search.

    If two groups turn out to be the same after shrinking, they are joined.
    """
    from splitbrain.harness.cli.interrupt import Stopping
    from splitbrain.harness.failures.grouping import shrink_group, unshrunk
    from splitbrain.harness.schedule.schedule import describe
    from splitbrain.harness.schedule.text import read_schedule
    from splitbrain.harness.store.database.database import open_database, rename_group

    with Stopping() as stopping, open_database(store) as connection:
        for group in list(unshrunk(campaign.groups, store)):
            if group.name not in campaign.found:
                continue
            shrunk, joined = shrink_group(campaign.groups, group, store, budget_s)
            if joined:
                rename_group(connection, joined, shrunk.name)
                campaign.found -= {joined}
                campaign.found |= {shrunk.name}
            file = campaign.groups.schedule_file(shrunk)
            if file.is_file() and not quiet:
                size = describe(read_schedule(file))
                click.echo(f"{group.name}: {f'joined {shrunk.name}: ' * bool(joined)}{size}")
            if stopping.requested:
                return True
    return False


def _conclude(campaign: RecordedCampaign, record: CampaignRecord, *, interrupted: bool) -> int:
    """Print the result of the campaign, and return the exit code."""
    from collections import Counter

    from splitbrain.harness.exit_codes import EXIT_INTERRUPTED

    verdicts = Counter(one.row.verdict for one in campaign.done.values())
    found = ", ".join(f"{count:,} {word}" for word, count in sorted(verdicts.items()))
    click.echo(f"{counted(len(campaign.done), 'run')}: {found or 'none'}")
    new = campaign.new_finds
    known = len(campaign.found) - len(new)
    for group in new:
        click.echo(f"  {group.name}: {group.because}")
        file = campaign.groups.schedule_file(group)
        command = f"splitbrain sim --schedule {file}" if file.is_file() else group.reproduce
        click.echo(f"    {command}")
    if known:
        click.echo(f"  {known} accepted groups")
    if interrupted:
        click.echo(f"continue with: splitbrain campaign --resume {record.name}")
    invalid_ungrouped = any(
        one.row.valid is False and one.signature is None for one in campaign.done.values()
    )
    if new or invalid_ungrouped:
        return 1
    if interrupted:
        return EXIT_INTERRUPTED
    return 2 if verdicts["unknown"] or not campaign.done else 0
