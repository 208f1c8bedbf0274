"""Defines the command `splitbrain`, its subcommands and its exit codes.

The exit codes are Jepsen's: 0 all runs are valid, 1 a run is invalid, 2 a run is unknown, 254
bad arguments, 255 the harness failed. A command that is interrupted exits with 130, as shells do
for SIGINT.
"""

from __future__ import annotations

import errno
import importlib
import signal
import sys
import traceback
from collections.abc import Sequence

import click

from splitbrain.harness.errors import BadArguments, SplitbrainError
from splitbrain.harness.exit_codes import EXIT_BAD_ARGUMENTS, EXIT_FAILED, EXIT_INTERRUPTED

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

GROUPS = {
    "Run": ("run", "sim", "replay", "hunt", "campaign", "shrink", "bisect"),
    "Judge": ("check", "export", "generate"),
    "Browse and keep": ("serve", "playback", "runs", "groups", "artifacts", "corpus"),
    "Use the store": ("node",),
    "Start": ("init", "doctor"),
    "Help": ("list", "completion"),
}
"""The headings in `splitbrain --help`, each with its commands."""

COMMANDS = tuple(name for names in GROUPS.values() for name in names)


class LazyGroup(click.Group):
    """The command `splitbrain`, which imports a subcommand only when it is used.

    Without this, every command would wait for the imports of all others.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"splitbrain.harness.cli.{cmd_name}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands in the help, below the headings of `GROUPS`."""
        for heading, names in GROUPS.items():
            commands = {name: self.get_command(ctx, name) for name in names}
            width = formatter.width - 6 - max(map(len, COMMANDS))
            rows = [
                (f"{name:{max(map(len, COMMANDS))}}", one.get_short_help_str(width))
                for name, one in commands.items() if one is not None
            ]
            with formatter.section(heading):
                formatter.write_dl(rows)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="splitbrain", prog_name="splitbrain")
def splitbrain() -> None:
    """Test replicated stores under faults, as Jepsen does.

    A run starts a cluster, sends operations from concurrent clients, injects faults, records
    a history, and checks the history for violations of consistency. The operations, the
    faults and their times are drawn from one seed.

    \b
    Examples:
      splitbrain run                    this project's own store: 30 s of load with
                                        kills, pauses and partitions
      splitbrain run --system etcd --workload kv --known all --time-limit 60
      splitbrain sim --seed 7           the same in simulation, repeatable byte for byte
      splitbrain replay store/latest    run the schedule of the last run again
      splitbrain check store/latest     judge the last run again
      splitbrain serve                  browse the runs in a web browser

    \b
    Exit codes:
      0    all runs are valid
      1    a run is invalid
      2    a run is unknown: a checker could not decide
      254  bad arguments
      255  the harness or the system under test failed
      130  interrupted by SIGTERM or Ctrl-C. In `run` and `replay`, the first Ctrl-C only
           ends the load
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line, and end the process with its exit code.

    SIGTERM raises KeyboardInterrupt, as Ctrl-C does, so that processes and temporary folders are
    removed. Commands that handle SIGTERM themselves replace this handler.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run_main(arguments))


def run_main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line `arguments` (None: those in `sys.argv`), and return the exit code."""
    try:
        code = splitbrain.main(
            None if arguments is None else list(arguments),
            prog_name="splitbrain",
            standalone_mode=False,
        )
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.exceptions.NoArgsIsHelpError as problem:
        problem.show()
        return EXIT_BAD_ARGUMENTS
    except click.ClickException as problem:
        problem.show()
        return EXIT_BAD_ARGUMENTS
    except BadArguments as problem:
        click.echo(f"Error: {problem}", err=True)
        return EXIT_BAD_ARGUMENTS
    except SplitbrainError as problem:
        click.echo(f"Error: {problem}", err=True)
        return EXIT_FAILED
    except (KeyboardInterrupt, click.Abort):
        # An interrupted simulation leaves the coroutines of a whole cluster. Without this line,
        # Python would print an error for each coroutine whose `finally` cannot run.
        sys.unraisablehook = lambda _: None
        click.echo("stopped", err=True)
        return EXIT_INTERRUPTED
    except Exception as problem:
        if isinstance(problem, OSError) and problem.errno in DISK_ERRORS:
            where = f": {problem.filename}" if problem.filename else ""
            click.echo(f"Error: the files of the run cannot be written: {problem.strerror}{where}. "
                       "Free disk space, or give another folder with --store", err=True)
        else:
            traceback.print_exc()
        return EXIT_FAILED
    return code if isinstance(code, int) else 0
