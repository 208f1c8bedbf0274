"""`splitbrain`: the command line.

Exit codes are Jepsen's: 0 all valid, 1 something invalid, 2 something unknown, 254
bad arguments, 255 the harness itself failed. One that is stopped at once has the
shell's code of an interrupt, 130.
"""

from __future__ import annotations

import errno
import importlib
import signal
import sys
import traceback
from collections.abc import Sequence

import click

from splitbrain.harness.cli.exit_codes import EXIT_BAD_ARGUMENTS, EXIT_FAILED, EXIT_INTERRUPTED
from splitbrain.harness.errors import BadArguments, SplitbrainError

DISK_REFUSES = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)

COMMANDS = (
    "run", "sim", "hunt", "shrink", "check", "export", "generate", "replay", "serve", "runs",
    "corpus", "list", "completion",
)


class LazyGroup(click.Group):
    """A group whose commands are imported when they are asked for: `--help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"splitbrain.harness.cli.{cmd_name}")
        command: click.Command = module.command
        return command


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="splitbrain", prog_name="splitbrain")
def splitbrain() -> None:
    """Break a replicated store that speaks etcd's v3 API, and judge what it did.

    A run starts real members, drives them with clients while faults come and go, and
    judges the recorded history. One seed decides everything that chance decides.

    \b
    Examples:
      splitbrain run                          our own store, 30 s, kill, pause, partition
      splitbrain run --system etcd --workload kv --time-limit 60
      splitbrain replay store/latest          the same plan again
      splitbrain check store/latest           judge again what was recorded
      splitbrain serve                        browse the runs

    \b
    Exit codes:
      0    all valid
      1    something invalid
      2    something unknown
      254  bad arguments
      255  the harness or the system under test failed
      130  stopped by a second Ctrl-C, or by SIGTERM
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """The entry point; always exits. A SIGTERM ends what has no better way of its own to
    end as a Ctrl-C does: in order, and with nothing left behind."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run_main(arguments))


def run_main(arguments: Sequence[str] | None = None) -> int:
    """The exit code that the command line `arguments` (None: the process's) comes to."""
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
        # A simulated run leaves the coroutines of a whole cluster. Python would tell of every
        # one whose `finally` cannot run any more.
        sys.unraisablehook = lambda _: None
        click.echo("stopped", err=True)
        return EXIT_INTERRUPTED
    except Exception as problem:
        if isinstance(problem, OSError) and problem.errno in DISK_REFUSES:
            where = f": {problem.filename}" if problem.filename else ""
            click.echo(f"Error: what is to be kept cannot be written: {problem.strerror}{where}; "
                       "make room, or give --store another folder", err=True)
        else:
            traceback.print_exc()
        return EXIT_FAILED
    return code if isinstance(code, int) else 0
