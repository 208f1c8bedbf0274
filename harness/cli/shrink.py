"""`splitbrain shrink`: finds a small schedule that still fails."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from splitbrain.harness.cli.run_options import given, run_options, simulated_alone

if TYPE_CHECKING:
    from splitbrain.harness.schedule.schedule import Schedule

PRINTED_LINES_MAX = 50
"""A pytest test with more lines than this is not printed."""

Print = Callable[[str], object]


@simulated_alone
@click.command("shrink", short_help="Make a failing schedule smaller.")
@click.argument("path", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--checker", default="", metavar="NAME",
              help="The checker that must still find the run invalid.  [default: the first "
                   "checker that finds the original run invalid]")
@click.option("--budget", default=60.0, show_default=True, metavar="S",
              help="How long to search, in seconds of wall-clock time.")
@click.option("--at-steps", is_flag=True,
              help="After shrinking, move the faults to steps of the write path, and extend the"
              " times between events, so that real processes can follow the schedule.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=None,
              help="The file to write.  [default: STORE/shrunk/NAME-SEED.schedule]")
@click.option("--quiet", is_flag=True, help="Print only the path of the written file.")
@run_options
def command(
    path: Path | None, checker: str, budget: float, at_steps: bool, out: Path | None, quiet: bool,
    **options: Any,
) -> int:
    """Find a smaller schedule that still fails, in simulation.

    PATH is the folder of a run of this project's own store, or a .schedule file. Without
    PATH, the schedule is drawn from --seed and the other options. With --mutant and without
    --seed, the command first searches for a seed whose run shows the planted bug.

    The search removes operations, faults and members, and resets settings, network conditions
    and disk conditions to their defaults, as long as the same checker finds the run invalid.
    The result is written to a file for `splitbrain sim --schedule` and `splitbrain replay`.
    If it has at most 50 lines, it is also printed as a pytest test.

    At the end, the search has tried to remove each remaining part alone. If --budget ends
    earlier, the command prints `not minimal`. A longer search may then find a smaller schedule.

    Ctrl-C ends the search early; the smallest schedule found so far is written.

    \b
    Examples:
      splitbrain shrink store/latest
      splitbrain shrink --mutant vote_not_persisted
      splitbrain shrink --seed 7 --workload kv --checker mvcc
      splitbrain shrink store/latest --at-steps

    \b
    Exit codes: 0 done, 130 ended early by Ctrl-C, 254 bad arguments or the run is not
    invalid, 255 the harness failed.
    """
    from splitbrain.harness.cli.interrupt import Stopping
    from splitbrain.harness.exit_codes import EXIT_INTERRUPTED
    from splitbrain.harness.judging.judge import checkers_of
    from splitbrain.harness.runs.execute import INVARIANTS
    from splitbrain.harness.shrinking.search import shrink

    chosen = {**given(options), "system": "simulated"}
    _check(path, chosen, budget, out)
    if at_steps and "seed" not in chosen:
        # The schedule is meant for real processes, so only what they support is drawn.
        chosen.setdefault("swarm", False)
    schedule = _recorded(path) if path is not None else _drawn(chosen, budget)
    if checker and checker != INVARIANTS:
        checkers_of(schedule.options, [checker])
    print_line: Print = (lambda _: None) if quiet else click.echo
    print_line(f"shrinking: {_size(schedule)}")
    with Stopping() as stopping:
        shrunk = shrink(schedule, checker, budget, _progress(schedule, print_line))
    smallest = shrunk.schedule
    early = ", stopped early" if stopping.requested else ""
    print_line(
        f"{shrunk.tries} runs in {shrunk.wall_s:.1f} s{early}; INVALID by {smallest.fails_by}"
    )
    if at_steps and not early:
        smallest = _at_steps(smallest, print_line)
    file = _write(smallest, out, options.get("store"))
    if quiet:
        click.echo(file)
    else:
        _print_schedule(smallest, file)
        if not shrunk.minimal and not early:
            click.echo(
                f"not minimal: the budget of {budget:g} s ended first; to continue: "
                f"splitbrain shrink {file} --budget {3 * budget:g}"
            )
    return EXIT_INTERRUPTED if early else 0


def _progress(schedule: Schedule, print_line: Print) -> Callable[[Schedule, int], None]:
    """Return a function that prints the size of each smaller schedule that the search finds.

    A size that equals the one printed before is not printed again.
    """
    printed = [_size(schedule)]

    def on_progress(smaller: Schedule, tries: int) -> None:
        if _size(smaller) != printed[-1]:
            printed.append(_size(smaller))
            print_line(f"  {tries:5} runs: {printed[-1]}")

    return on_progress


def _check(path: Path | None, chosen: dict[str, Any], budget: float, out: Path | None) -> None:
    """Raise BadArguments if an argument is impossible, or if arguments contradict each other."""
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.schedule.options import flag_of

    others = sorted(chosen.keys() - {"system", "store"})
    if path is not None and others:
        raise BadArguments(
            "PATH determines the whole run: give either PATH or "
            f"{', '.join('--' + flag_of(name) for name in others)}"
        )
    if budget <= 0:
        raise BadArguments(f"--budget {budget:g}: expected a number of seconds above 0")
    if out is not None and not out.parent.is_dir():
        raise BadArguments(f"--out {out}: the folder {out.parent} does not exist")


def _recorded(path: Path) -> Schedule:
    """Read the schedule at `path`, and adapt it to the simulation.

    Raises BadArguments if there is no schedule, or if it is for a system that cannot be simulated.
    """
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.schedule.schedule import SIMULATED, fixed
    from splitbrain.harness.store.schedule_source import schedule_at
    from splitbrain.harness.systems.catalogue import PYTHON_NODE
    from splitbrain.harness.systems.schedule_support import adapted

    schedule = schedule_at(path.resolve())
    if schedule.system not in (SIMULATED, PYTHON_NODE):
        raise BadArguments(
            f"{path} is a run of {schedule.system}, which cannot be simulated: expected a run of "
            f"{PYTHON_NODE} or {SIMULATED}"
        )
    return fixed(adapted(schedule, SIMULATED))


def _drawn(chosen: dict[str, Any], budget: float) -> Schedule:
    """Draw the schedule to shrink from the options `chosen`.

    If the options contain no seed, the first seed is used whose run shows the planted bug. Raises
    BadArguments if no seed is found within `budget` seconds, or if the options contain neither a
    seed nor a planted bug.
    """
    from splitbrain.harness.drawing.schedule_drawing import draw_swarm_schedule
    from splitbrain.harness.errors import BadArguments
    from splitbrain.harness.schedule.schedule import fixed
    from splitbrain.harness.seeds.seed_runs import campaign, hunt

    if "seed" in chosen:
        return fixed(draw_swarm_schedule(chosen.pop("seed"), chosen))
    if "mutant" not in chosen:
        raise BadArguments("nothing to shrink: give PATH, --seed or --mutant")
    found, tried, wall_s = hunt(campaign(itertools.count(), chosen), budget)
    if found is None:
        raise BadArguments(f"{tried} seeds in {wall_s:.1f} s did not show {chosen['mutant']}; "
                           "give a longer --budget, or a --seed that shows it")
    return fixed(draw_swarm_schedule(found.seed, chosen))


def _at_steps(schedule: Schedule, print_line: Print) -> Schedule:
    from splitbrain.harness.shrinking.faults_at_steps import at_steps

    found = at_steps(schedule)
    print_line(
        f"{found.faults_at_steps} of {len(found.schedule.faults)} faults moved to steps of the "
        f"write path; the schedule fails with {found.seeds_failing} of {found.seeds} other seeds"
    )
    return found.schedule


def _size(schedule: Schedule) -> str:
    from splitbrain.harness.schedule.schedule import describe

    return describe(schedule)


def _write(schedule: Schedule, out: Path | None, store: str | None) -> Path:
    """Write the schedule to `out`, or to a new file in the store, and return the path."""
    from splitbrain.harness.schedule.options import DEFAULTS
    from splitbrain.harness.schedule.text import SUFFIX, write_schedule

    if out is None:
        name = schedule.options.mutant or schedule.options.test_name()
        folder = Path(store or DEFAULTS.store) / "shrunk"
        out = _free(folder, f"{name}-{schedule.seed}", SUFFIX)
    write_schedule(schedule, out)
    return out


def _free(folder: Path, name: str, suffix: str) -> Path:
    """Return the path of a new file in `folder` with the name `name` and the suffix `suffix`.

    If a file with this name exists, a number is added to the name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    names = (name, *(f"{name}-{number}" for number in range(2, 10_000)))
    return next(
        path for one in names if not (path := folder / f"{one}{suffix}").exists()
    )


def _print_schedule(schedule: Schedule, file: Path) -> None:
    """Print the schedule as a pytest test, unless it is long.

    The path of `file` and the command that runs it are printed in any case.
    """
    from splitbrain.harness.shrinking.test_source import as_test

    source = as_test(schedule)
    if source.count("\n") <= PRINTED_LINES_MAX:
        click.echo(f"\nAs a pytest test:\n\n{source}")
    click.echo(f"schedule: {file}")
    click.echo(f"reproduce: splitbrain sim --schedule {file}")
