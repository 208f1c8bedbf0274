"""`splitbrain shrink`: the smallest schedule that still fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splitbrain.harness.cli.run_options import given, run_options, simulated_alone

if TYPE_CHECKING:
    from splitbrain.harness.schedule.schedule import Schedule

Say = Callable[[str], object]


@simulated_alone
@click.command("shrink", short_help="Make a failing schedule small.")
@click.argument("path", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--checker", default="", metavar="NAME",
              help="Which checker must still find it invalid.  [default: the first that does]")
@click.option("--budget", default=60.0, show_default=True, metavar="S",
              help="How long to look for a smaller one, in seconds of wall time.")
@click.option("--at-steps", is_flag=True,
              help="Then put its faults at steps of the write path, and take time enough"
              " between all that happens, so that processes can follow it.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=None,
              help="Where to write the schedule.  [default: in the store]")
@click.option("--quiet", is_flag=True, help="Print the schedule's file and nothing else.")
@run_options
def command(
    path: Path | None, checker: str, budget: float, at_steps: bool, out: Path | None, quiet: bool,
    **options: Any,
) -> int:
    """Find the smallest schedule that still fails by the same checker.

    PATH is the folder of a run, or a schedule's file. Without it, the simulated run of
    --seed and the other options; with --mutant and no --seed, the first seed that shows
    the planted bug. Operations, faults, members, and what is rough in the world go as
    long as the same checker still finds the run invalid, in simulation.

    The schedule is written to a file for `splitbrain sim --schedule` and `splitbrain
    replay`, and printed as a test to paste.

    \b
    Examples:
      splitbrain shrink store/latest
      splitbrain shrink --mutant vote_not_persisted
      splitbrain shrink --seed 7 --workload kv --checker mvcc
      splitbrain shrink store/latest --at-steps

    \b
    Exit codes: 0 done, 130 a Ctrl-C ended it early (the smallest so far is written),
    254 nothing invalid to shrink or bad arguments, 255.
    """
    from splitbrain.harness.cli.exit_codes import EXIT_INTERRUPTED
    from splitbrain.harness.cli.interrupt import Stopping
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.judging.judge import checkers_of
    from splitbrain.harness.runs.execute import INVARIANTS
    from splitbrain.harness.shrinking.search import shrink

    wanted = {**given(options), "system": "simulated"}
    others = sorted(wanted.keys() - {"system", "store"})
    if path is not None and others:
        raise BadArguments(
            f"a PATH says all of the run: give either PATH or {', '.join(others)}"
        )
    if budget <= 0:
        raise BadArguments(f"--budget {budget:g}: expected more than 0")
    if out is not None and not out.parent.is_dir():
        raise BadArguments(f"--out {out}: there is no folder {out.parent}")
    if at_steps and "seed" not in wanted:
        wanted.setdefault("swarm", False)  # what is hunted for processes is what they can suffer
    schedule = _recorded(path) if path is not None else _drawn(wanted, budget)
    if checker and checker != INVARIANTS:
        checkers_of(schedule.options, [checker])
    say: Say = (lambda _: None) if quiet else click.echo
    say(f"shrinking: {_size(schedule)}")
    seen = [_size(schedule)]

    def told(smaller: Schedule, tries: int) -> None:
        if _size(smaller) != seen[-1]:
            seen.append(_size(smaller))
            say(f"  {tries:5} runs: {seen[-1]}")

    with Stopping() as stopping:
        shrunk = shrink(schedule, checker, budget, told)
    found = shrunk.schedule
    early = ", stopped early" if stopping.asked else ""
    say(f"{shrunk.tries} runs in {shrunk.wall_s:.1f} s{early}; INVALID by {found.fails_by}")
    if at_steps and not early:
        found = _at_steps(found, say)
    file = _write(found, out, options.get("store"))
    if quiet:
        click.echo(file)
    else:
        _tell(found, file)
    return EXIT_INTERRUPTED if early else 0


def _recorded(path: Path) -> Schedule:
    """The schedule at `path`, for the simulated system. Raises BadArguments."""
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.schedule.schedule import SIMULATED, fixed
    from splitbrain.harness.store.schedule_source import schedule_at
    from splitbrain.harness.systems.catalogue import PYTHON_NODE
    from splitbrain.harness.systems.support import adapted

    schedule = schedule_at(path.resolve())
    if schedule.system not in (SIMULATED, PYTHON_NODE):
        raise BadArguments(
            f"{path} is a run of {schedule.system}, which cannot be simulated: only this "
            "project's own member can"
        )
    return fixed(adapted(schedule, SIMULATED))


def _drawn(wanted: dict[str, Any], budget: float) -> Schedule:
    """The schedule of the seed that `wanted` names, or of the first seed that shows the planted
    bug."""
    from splitbrain.harness.campaign.campaign import hunt
    from splitbrain.harness.drawing.draw import draw_swarm_schedule
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.schedule.schedule import fixed

    if "seed" in wanted:
        return fixed(draw_swarm_schedule(wanted.pop("seed"), wanted))
    if "mutant" not in wanted:
        raise BadArguments("nothing to shrink: give PATH, or --seed, or --mutant")
    found, tried, wall_s = hunt(wanted, budget)
    if found is None:
        raise BadArguments(f"{tried} seeds in {wall_s:.1f} s did not show {wanted['mutant']}; "
                           "give a longer --budget, or a --seed that does")
    return fixed(draw_swarm_schedule(found.seed, wanted))


def _at_steps(schedule: Schedule, say: Say) -> Schedule:
    from splitbrain.harness.shrinking.step_faults import at_steps

    placed = at_steps(schedule)
    say(f"{placed.at_steps} of {len(placed.schedule.faults)} faults at steps; "
        f"fails with {placed.seeds_failing} of {placed.seeds} other seeds")
    return placed.schedule


def _size(schedule: Schedule) -> str:
    from splitbrain.harness.schedule.schedule import describe

    return describe(schedule)


def _write(schedule: Schedule, out: Path | None, store: str | None) -> Path:
    from splitbrain.harness.schedule.options import DEFAULTS
    from splitbrain.harness.schedule.text import SUFFIX, write_schedule

    if out is None:
        name = schedule.options.mutant or schedule.options.test_name()
        folder = Path(store or DEFAULTS.store) / "shrunk"
        out = _free(folder, f"{name}-{schedule.seed}", SUFFIX)
    write_schedule(schedule, out)
    return out


def _free(folder: Path, name: str, suffix: str) -> Path:
    """A file of this name in `folder` that is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    names = (name, *(f"{name}-{number}" for number in range(2, 10_000)))
    return next(
        path for one in names if not (path := folder / f"{one}{suffix}").exists()
    )


def _tell(schedule: Schedule, file: Path) -> None:
    from splitbrain.harness.schedule.text import as_text
    from splitbrain.harness.shrinking.test_source import as_test

    click.echo("")
    click.echo(as_text(schedule))
    click.echo("As a test, with the plugin's fixture:\n")
    click.echo(as_test(schedule))
    click.echo(f"schedule: {file}")
    click.echo(f"reproduce: splitbrain sim --schedule {file}")
